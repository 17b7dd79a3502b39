"""Calls to an endpoint over real HTTP: what is tried again, what is not, and what a reason never holds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import pytest

from eval import http_calls
from eval.http_calls import NoReply, key_header, open_client, post, time_limits, without_key
from recipes.engines import ServerEngine
from tests.eval.endpoints import endpoint


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_calls, "FIRST_PAUSE_SECONDS", 0.001)


def section(url: str) -> ServerEngine:
    return ServerEngine(name="server", url=url, model="m", key_variable="A_KEY", timeout_seconds=5)


def post_to(replies: Iterator[Any], retries: int) -> tuple[Any, int]:
    """What came of one call to an endpoint that answers by `replies`, and how many requests it saw."""
    with endpoint(lambda body: next(replies)) as (url, bodies), open_client(section(url)) as client:
        return post(client, "completions", {"a": 1}, retries), len(bodies)


def test_a_connection_is_not_waited_for_as_long_as_a_reply() -> None:
    limits = time_limits(section("http://a").changed(timeout_seconds=600.0))
    assert (limits.connect, limits.read) == (30.0, 600.0)


def test_a_short_limit_of_a_call_is_that_of_its_connection() -> None:
    assert time_limits(section("http://a")).connect == 5.0


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


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses in seconds that a call makes, none of which is waited for."""
    made: list[float] = []
    monkeypatch.setattr(time, "sleep", made.append)
    return made


def busy(retry_after: str) -> tuple[int, str, dict[str, str]]:
    return 429, "busy", {"Retry-After": retry_after}


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("7", 7, 7),
        (" 007 ", 7, 7),
        ("86400", 120, 120),
        (formatdate(2**32, usegmt=True), 120, 120),
        ("0", 0.0005, 0.001),
        (formatdate(0, usegmt=True), 0.0005, 0.001),
        ("-5", 0.0005, 0.001),
        ("soon \x1b[2J", 0.0005, 0.001),
    ],
    ids=["seconds", "zeros", "a-day", "late-date", "none", "past", "negative", "words"],
)
def test_a_pause_is_what_the_endpoint_says_up_to_two_minutes(
    header: str, least: float, most: float, pauses: list[float], capfd: pytest.CaptureFixture[str]
) -> None:
    response, requests = post_to(iter([busy(header), (200, {})]), retries=1)
    assert (response.status_code, requests, len(pauses)) == (200, 2, 1)
    assert least <= pauses[0] <= most and capfd.readouterr().err == ""


def test_a_pause_ends_at_the_date_that_the_endpoint_names(pauses: list[float]) -> None:
    post_to(iter([busy(formatdate(time.time() + 90, usegmt=True)), (200, {})]), retries=1)
    assert 60 < pauses[0] <= 90


def test_pauses_grow_and_calls_do_not_come_back_together(pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_calls, "FIRST_PAUSE_SECONDS", 0.5)
    for _ in range(2):
        post_to(iter([(503, "")] * 4), retries=3)
    assert all(half <= pause <= 2 * half for half, pause in zip([0.25, 0.5, 1.0] * 2, pauses, strict=True))
    assert pauses[:3] != pauses[3:]


def test_a_reply_that_breaks_off_is_tried_again() -> None:
    response, requests = post_to(iter([(200, "{", {"Content-Length": "9"}), (200, {"a": 1})]), retries=1)
    assert (response.json(), requests) == ({"a": 1}, 2)


def test_an_endpoint_that_cannot_be_reached_has_no_status() -> None:
    with open_client(section("http://127.0.0.1:9/v1")) as client:
        reply = post(client, "completions", {}, retries=1)
    assert isinstance(reply, NoReply) and reply.status == 0
    assert reply.reason.startswith("ConnectError") and reply.reason.endswith("(after 2 tries)")


def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with endpoint(lambda body: (200, {"by": "proxy"})) as (url, bodies):
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, url.removesuffix("/v1"))
        with open_client(section("http://nowhere.invalid/v1")) as client:
            reply = post(client, "completions", {}, retries=0)
    assert (reply.json(), len(bodies)) == ({"by": "proxy"}, 1)  # type: ignore[union-attr]


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
