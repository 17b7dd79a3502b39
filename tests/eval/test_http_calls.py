"""Calls to an endpoint over real HTTP: what is tried again, what is not, and what a reason never holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from eval import http_calls
from eval.http_calls import NoReply, key_header, open_client, post, without_key
from recipes.engines import ServerEngine
from tests.eval.endpoints import endpoint


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_calls, "FIRST_PAUSE_SECONDS", 0.001)


def section(url: str) -> ServerEngine:
    return ServerEngine(name="server", url=url, model="m", key_variable="A_KEY", timeout_seconds=5)


def post_to(replies: Iterator[tuple[int, Any]], retries: int) -> tuple[Any, int]:
    """What came of one call to an endpoint that answers by `replies`, and how many requests it saw."""
    with endpoint(lambda body: next(replies)) as (url, bodies), open_client(section(url)) as client:
        return post(client, "completions", {"a": 1}, retries), len(bodies)


def test_a_reply_comes_back() -> None:
    response, requests = post_to(iter([(200, {"text": "hello"})]), retries=3)
    assert (response.json(), requests) == ({"text": "hello"}, 1)


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_fault_that_may_pass_is_tried_again(status: int) -> None:
    response, requests = post_to(iter([(status, "busy"), (200, {})]), retries=1)
    assert (response.status_code, requests) == (200, 2)


def test_after_the_last_try_the_last_reason_is_given() -> None:
    replies = iter([(500, "first"), (503, "last")])
    assert post_to(replies, retries=1) == (NoReply("HTTP 503: last (after 2 tries)", 503), 2)


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_refusal_is_not_tried_again(status: int) -> None:
    assert post_to(iter([(status, "no")]), retries=3) == (NoReply(f"HTTP {status}: no (after 1 tries)", status), 1)


def test_an_endpoint_that_cannot_be_reached_has_no_status() -> None:
    with open_client(section("http://127.0.0.1:9/v1")) as client:
        reply = post(client, "completions", {}, retries=1)
    assert isinstance(reply, NoReply) and reply.status == 0
    assert reply.reason.startswith("ConnectError") and reply.reason.endswith("(after 2 tries)")


def test_the_key_is_in_no_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "secret")
    reply, _ = post_to(iter([(401, "who is secret?")]), retries=0)
    assert reply.reason == "HTTP 401: who is [key]? (after 1 tries)"


@pytest.mark.parametrize(("key", "header"), [("", {}), ("  ", {}), ("k\n", {"Authorization": "Bearer k"})])
def test_the_key_comes_from_the_environment(key: str, header: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", key)
    assert key_header(section("http://x")) == header


def test_control_characters_do_not_reach_a_terminal() -> None:
    assert without_key("a\x1b[31m\nb", {}) == "a [31m b"
