"""Calls to an OpenAI-compatible endpoint: one client, retries with growing pauses, and a reason where all failed.

The key comes from the environment variable that the recipe names; it never appears in a reason.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import httpx

FIRST_PAUSE_SECONDS = 0.5
WORTH_A_RETRY = (408, 409, 425, 429, 500, 502, 503, 504)
SHOWN_CHARACTERS = 200  # of an endpoint's text in a reason


class Endpoint(Protocol):
    """The section of a recipe that names an endpoint."""

    @property
    def url(self) -> str: ...
    @property
    def key_variable(self) -> str: ...
    @property
    def concurrency(self) -> int: ...
    @property
    def retries(self) -> int: ...
    @property
    def timeout_seconds(self) -> float: ...


@dataclass(frozen=True)
class NoReply:
    """A call that failed after all its tries, and why; `status` is the last HTTP status, 0 where there was no reply."""

    reason: str
    status: int


def key_header(endpoint: Endpoint) -> dict[str, str]:
    """The header that carries the key; none where the environment has no key."""
    key = os.environ.get(endpoint.key_variable, "").strip()
    return {"Authorization": f"Bearer {key}"} if key else {}


def open_client(endpoint: Endpoint) -> httpx.Client:
    """A client for paths below the endpoint's base address; it may be used from `concurrency` threads at once."""
    return httpx.Client(
        base_url=endpoint.url.rstrip("/") + "/",
        headers=key_header(endpoint),
        timeout=endpoint.timeout_seconds,
        limits=httpx.Limits(max_connections=endpoint.concurrency),
    )


def post(client: httpx.Client, path: str, body: dict[str, Any], retries: int) -> httpx.Response | NoReply:
    """The response (status 200) to `body`; transient faults are tried again after pauses of 0.5, 1, 2 … seconds."""
    reason, status = "", 0
    for attempt in range(retries + 1):
        if attempt:
            time.sleep(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
        try:
            response = client.post(path, json=body)
        except httpx.HTTPError as fault:
            reason, status = f"{type(fault).__name__}: {fault}", 0
            continue
        status = response.status_code
        if status == 200:
            return response
        reason = f"HTTP {status}: {response.text[:SHOWN_CHARACTERS]}"
        if status not in WORTH_A_RETRY:
            break
    return NoReply(f"{without_key(reason, client.headers)} (after {attempt + 1} tries)", status)


def without_key(text: str, headers: Mapping[str, str]) -> str:
    """The text on one line, without the key and without control characters, which a terminal would obey."""
    key = headers.get("Authorization", "").removeprefix("Bearer ")
    without = text.replace(key, "[key]") if key else text
    return "".join(letter if letter.isprintable() else " " for letter in without)
