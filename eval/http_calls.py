"""Calls to an OpenAI-compatible endpoint: one client, retries by httpx-retries, and a reason if all tries failed.

Pauses grow, or follow the endpoint (`Retry-After`, in seconds or as a date). The key comes from the environment
variable that the recipe names; it never appears in a reason.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import httpx
from httpx_retries import Retry, retry_request

from runtime.network import silence

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 120.0
"""upper limit of one pause, whatever `Retry-After` says"""

CONNECT_SECONDS = 30.0
"""longest wait for a connection: where packets are dropped it would take all the time of a call"""

FIRST_ANSWER_SECONDS = 60.0
"""longest wait for any answer before calls are sent; a busy server takes long for a completion, not for its headers"""

WORTH_A_RETRY = (408, 409, 425, 429, 500, 502, 503, 504)
SHOWN_CHARACTERS = 200  # of an endpoint's text in a reason

# if httpx-retries cannot read the header it logs the raw value; text of an endpoint is never printed unchecked
logging.getLogger("httpx_retries").setLevel(logging.ERROR)


class Endpoint(Protocol):
    """The recipe section of an endpoint."""

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
    """A call that failed after all its tries, and why; `status` is the last HTTP status, 0 if there was no reply."""

    reason: str
    status: int


def key_header(endpoint: Endpoint) -> dict[str, str]:
    """The header with the key; empty if the environment has no key."""
    key = os.environ.get(endpoint.key_variable, "").strip()
    return {"Authorization": f"Bearer {key}"} if key else {}


def time_limits(endpoint: Endpoint) -> httpx.Timeout:
    """`timeout_seconds` for the reply, and less for the connection."""
    return httpx.Timeout(endpoint.timeout_seconds, connect=min(CONNECT_SECONDS, endpoint.timeout_seconds))


def silence_of(endpoint: Endpoint) -> str:
    """Why nothing answers at the endpoint's address; "" if something does. Costs one request without a body; the calls
    themselves, each with its retries, would take `retries` + 1 times `timeout_seconds` to find out."""
    return silence(endpoint.url, min(FIRST_ANSWER_SECONDS, endpoint.timeout_seconds))


def open_client(endpoint: Endpoint) -> httpx.Client:
    """A client for paths below the endpoint's base address; up to `concurrency` threads may share it."""
    return httpx.Client(
        base_url=endpoint.url.rstrip("/") + "/",
        headers=key_header(endpoint),
        timeout=time_limits(endpoint),
        limits=httpx.Limits(max_connections=endpoint.concurrency),
    )


def retry_rule(retries: int) -> Retry:
    """What is retried, and after which pauses: 0.5, 1, 2 … seconds, each shortened at random by up to half so that
    calls that failed together are not retried together; or `Retry-After`, up to LONGEST_PAUSE_SECONDS."""
    return Retry(
        total=retries,
        allowed_methods=["POST"],
        status_forcelist=WORTH_A_RETRY,
        retry_on_exceptions=[httpx.HTTPError],
        backoff_factor=FIRST_PAUSE_SECONDS / 2,  # the library doubles it before the first pause
        backoff_jitter=0.5,
        max_backoff_wait=LONGEST_PAUSE_SECONDS,
    )


def post(client: httpx.Client, path: str, body: dict[str, Any], retries: int) -> httpx.Response | NoReply:
    """The response (status 200) to `body`; transient faults are retried by `retry_rule`.

    Retries apply to the call, not the transport: a body that breaks off is retried too, and proxies named in the
    environment are used, which httpx ignores if a client has its own transport.
    """
    try:
        response = retry_request(client, "POST", path, retry=retry_rule(retries), json=body)
    except httpx.HTTPError as fault:
        return _no_reply(client, fault, retries)
    return response if response.status_code == 200 else _no_reply(client, response, retries)


def _no_reply(client: httpx.Client, outcome: httpx.Response | httpx.HTTPError, retries: int) -> NoReply:
    reason = without_key(reason_of(outcome), client.headers)
    status = outcome.status_code if isinstance(outcome, httpx.Response) else 0
    return NoReply(f"{reason} (after {tries_of(outcome, retries)} tries)", status)


def reason_of(outcome: httpx.Response | httpx.HTTPError) -> str:
    """Why a call failed; the text may contain the key and control characters."""
    if isinstance(outcome, httpx.Response):
        return f"HTTP {outcome.status_code}: {outcome.text[:SHOWN_CHARACTERS]}"
    return f"{type(outcome).__name__}: {outcome}"


def tries_of(outcome: httpx.Response | httpx.HTTPError, retries: int) -> int:
    """How many times a call was sent under `retry_rule(retries)`; a fault is raised only after the last try."""
    return outcome.extensions["retry"].attempts_made + 1 if isinstance(outcome, httpx.Response) else retries + 1


def without_key(text: str, headers: Mapping[str, str]) -> str:
    """The text on one line, without the key and without control characters, which a terminal would execute."""
    key = headers.get("Authorization", "").removeprefix("Bearer ")
    without = text.replace(key, "[key]") if key else text
    return "".join(letter if letter.isprintable() else " " for letter in without)
