"""The completions engine over real HTTP: the same thoughts as in process, honest failures, nothing invented."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

import pytest
from transformers import PreTrainedModel

from eval import http_calls
from eval.engines import server
from eval.engines.completions import Call, CompletionEngine
from eval.engines.hf import HFEngine
from eval.engines.server import ServerCompleter
from eval.protocol import Protocol
from eval.types import Missing, Request, Thought
from recipes.engines import ServerEngine
from recipes.errors import UserError
from runtime.ranks import ALONE
from tests.eval.endpoints import complete, endpoint
from tests.eval.worlds import nano, nano_protocol, nano_requests, nano_spec, nano_suite, nano_tokenizer, sweep_model
from tests.runtime.servers import silent_server

BUDGETS = (4, 8, 16, 32)
PROTOCOL = nano_protocol(BUDGETS)


def think(
    url: str, requests: Sequence[Request], protocol: Protocol = PROTOCOL, **changes: Any
) -> list[Thought | Missing]:
    with closing(completer(url, protocol, **changes)) as calls:
        return list(CompletionEngine(calls, protocol).think(requests))


def completer(url: str, protocol: Protocol = PROTOCOL, **changes: Any) -> ServerCompleter:
    section = ServerEngine(name="server", url=url, model="nano", **{"concurrency": 4, "retries": 1, **changes})
    return ServerCompleter(section, protocol, nano_tokenizer())


def answer_by(model: PreTrainedModel) -> Callable[[dict[str, Any]], tuple[int, Any]]:
    """Answers one call after another, as one model on one machine must."""
    alone = threading.Lock()

    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        with alone:
            return 200, complete(model, nano_tokenizer(), body)

    return answer


def by_key(found: list[Thought | Missing]) -> dict[tuple[str, int], Thought | Missing]:
    return {(one.problem, one.sample): one for one in found}


def test_prompts_as_text_give_the_same_thoughts() -> None:
    requests = nano_requests("chain", 3)

    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        assert isinstance(body["prompt"], str)
        ids = nano_tokenizer().encode(body["prompt"], add_special_tokens=False)
        return 200, complete(nano(), nano_tokenizer(), {**body, "prompt": ids})

    with endpoint(answer) as (url, _):
        served = by_key(think(url, requests, prompt_as="text", concurrency=1))
    assert served == by_key(list(HFEngine(nano(), PROTOCOL, 16).think(requests)))


@pytest.mark.parametrize(
    ("rules", "sent"),
    [
        ({}, {"temperature": 0.0, "top_p": 1.0}),
        (
            {"temperature": 0.8, "top_p": 0.9, "top_k": 20, "min_p": 0.1},
            {"temperature": 0.8, "top_p": 0.9, "top_k": 20, "min_p": 0.1},
        ),
    ],
)
def test_sampling_is_asked_for_by_the_protocol(rules: dict[str, Any], sent: dict[str, float]) -> None:
    with endpoint(lambda body: (400, "")) as (url, bodies):
        think(url, nano_requests("shallow", 1), nano_protocol(BUDGETS, **rules))
    assert {key: bodies[0][key] for key in ("temperature", "top_p", "top_k", "min_p") if key in bodies[0]} == sent


def test_a_thought_does_not_wait_for_a_slower_one() -> None:
    requests = nano_requests("shallow", 3)
    slow, go_on, serve = list(requests[0].prompt_ids), threading.Event(), answer_by(nano())

    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        if body["prompt"] == slow:
            go_on.wait()
        return serve(body)

    with endpoint(answer) as (url, _), closing(completer(url)) as calls:
        thoughts = CompletionEngine(calls, PROTOCOL).think(requests)
        early = {next(thoughts).problem, next(thoughts).problem}
        go_on.set()
        assert early == {r.problem for r in requests[1:]} and next(thoughts).problem == requests[0].problem


def test_a_busy_endpoint_is_asked_again_when_it_says_but_not_later_than_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_calls, "LONGEST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(http_calls, "FIRST_PAUSE_SECONDS", 0.001)
    serve, busy = answer_by(nano()), iter([(429, "busy", {"Retry-After": "86400"})])
    with endpoint(lambda body: next(busy, None) or serve(body)) as (url, bodies):
        (thought,) = think(url, nano_requests("shallow", 1))
    assert isinstance(thought, Thought) and bodies[0] == bodies[1]


def test_closing_drops_calls_under_way_and_their_thread() -> None:
    held, go_on = threading.Event(), threading.Event()

    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        held.set()
        go_on.wait()
        return 200, {}

    with endpoint(answer) as (url, _):
        calls = completer(url)
        for key, thought in enumerate(nano_requests("shallow", 2)):
            calls.start(key, Call(thought.prompt_ids, 1, (((3,),),), (), 0))
        held.wait()
        calls.close()
        names = [thread.name for thread in threading.enumerate()]
        go_on.set()
    assert "endpoint calls" not in names


def test_a_thought_is_asked_for_once_and_each_answer_once() -> None:
    (request,) = [r for r in nano_requests("chain", 20) if len(r.prompt_ids) > 50][:1]
    with endpoint(lambda body: (200, complete(nano(), nano_tokenizer(), body))) as (url, bodies):
        (thought,) = think(url, [request])
    assert isinstance(thought, Thought)
    assert len(bodies) == 1 + len(thought.answers)


def test_a_call_that_fails_for_a_moment_is_tried_again() -> None:
    (request,) = nano_requests("shallow", 1)
    replies = iter([(503, "busy")])
    with endpoint(lambda body: next(replies, None) or (200, complete(nano(), nano_tokenizer(), body))) as (url, _):
        (thought,) = think(url, [request])
    assert isinstance(thought, Thought)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ((401, "no key"), "HTTP 401: no key (after 1 tries)"),
        ((500, "broken"), "HTTP 500: broken (after 2 tries)"),
        ((200, "<html>"), "the endpoint answered with no completion: '<html>'"),
        ((200, {"choices": []}), "the endpoint answered with no completion: '{\"choices\": []}'"),
        (
            (400, "no ids"),
            "HTTP 400: no ids (after 1 tries; if the endpoint does not accept token ids, set "
            "sweep.engine.prompt_as=text)",
        ),
    ],
)
def test_what_is_no_completion_is_missing_with_its_reason(reply: tuple[int, Any], reason: str) -> None:
    (request,) = nano_requests("shallow", 1)
    with endpoint(lambda body: reply) as (url, _):
        assert think(url, [request]) == [Missing(request.problem, 0, reason)]


def test_an_endpoint_that_refuses_every_call_ends_the_sweep_with_its_reason() -> None:
    with endpoint(lambda body: (403, "no")) as (url, _):
        section = ServerEngine(name="server", url=url, model="m", retries=0)
        spec = nano_spec([nano_suite("shallow", 2)], BUDGETS, engine=section)
        with pytest.raises(UserError, match="every thought of suite shallow failed; the first one: HTTP 403: no"):
            sweep_model(None, spec, ALONE)


def test_an_endpoint_that_has_stopped_answering_is_given_up_and_not_every_call_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "BACK_SECONDS", 0.1)
    with silent_server() as url:
        found = think(url, nano_requests("shallow", 3), concurrency=2, timeout_seconds=0.05, retries=0)
    gone = "the endpoint stopped answering, and did not answer again within 0.1 s"
    reasons = [one.reason for one in found if isinstance(one, Missing)]
    assert [reason == gone for reason in reasons] == [False, False, True]


def test_an_endpoint_that_is_back_gets_the_next_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "BACK_SECONDS", 30.0)
    serve, broken = answer_by(nano()), iter([(200, "{", {"Content-Length": "9"})])
    with endpoint(lambda body: next(broken, None) or serve(body)) as (url, _):
        found = think(url, nano_requests("shallow", 2), concurrency=1, retries=0)
    assert [type(one) for one in found] == [Missing, Thought]


def test_a_missing_thought_is_counted_and_never_wrong() -> None:
    suite = nano_suite("shallow", 4)
    lost, serve = suite.problems[1].question, answer_by(nano())

    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        if lost in nano_tokenizer().decode(body["prompt"]):
            return 403, "refused"
        return serve(body)

    with endpoint(answer) as (url, _):
        section = ServerEngine(name="server", url=url, model="nano", retries=0)
        spec = nano_spec([suite], BUDGETS, engine=section)
        thoughts = sweep_model(None, spec, ALONE)["shallow"]
    assert [thought.failure for thought in thoughts] == ["", "HTTP 403: refused (after 1 tries)", "", ""]


def test_the_key_goes_with_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANO_KEY", "secret")
    assert completer("http://127.0.0.1:9", key_variable="NANO_KEY").headers == {"Authorization": "Bearer secret"}


def test_a_thought_that_failed_is_asked_for_once_more() -> None:
    suite, failures, serve = nano_suite("shallow", 3), iter([(400, "refused"), (400, "refused")]), answer_by(nano())
    with endpoint(lambda body: next(failures, None) or serve(body)) as (url, _):
        section = ServerEngine(name="server", url=url, model="nano", retries=0)
        thoughts = sweep_model(None, nano_spec([suite], BUDGETS, engine=section), ALONE)["shallow"]
    assert [thought.failure for thought in thoughts] == [""] * 3


def test_the_key_is_in_no_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANO_KEY", "secret")
    (request,) = nano_requests("shallow", 1)
    for reply in ((200, "who is secret?"), (401, "who is secret?")):
        with endpoint(lambda body, reply=reply: reply) as (url, _):
            (missing,) = think(url, [request], key_variable="NANO_KEY")
        assert isinstance(missing, Missing)
        assert "who is [key]?" in missing.reason
