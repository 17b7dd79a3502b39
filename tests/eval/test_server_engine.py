"""The completions engine over real HTTP: the same thoughts as in process, honest failures, nothing invented."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from eval.engines.completions import CompletionEngine
from eval.engines.hf import HFEngine
from eval.engines.server import ServerCompleter
from eval.protocol import Protocol
from eval.ranks import ALONE
from eval.sweep import sweep_model
from eval.types import Missing, Thought
from recipes.errors import UserError
from recipes.sweeps import ServerEngine
from tests.eval.endpoints import complete, endpoint
from tests.eval.worlds import nano, nano_plan, nano_protocol, nano_requests, nano_suite, nano_tokenizer, rambling

BUDGETS = (4, 8, 16, 32)
PROTOCOL = nano_protocol(BUDGETS)
CONTROLLED = nano_protocol((0, *BUDGETS), stop_loops=True)
ALIVE = threading.Lock()


def engine(url: str, protocol: Protocol = PROTOCOL, **changes: Any) -> CompletionEngine:
    section = ServerEngine(name="server", url=url, model="nano", **{"concurrency": 4, "retries": 1, **changes})
    return CompletionEngine(ServerCompleter(section, protocol, nano_tokenizer()), protocol)


def by_key(found: list[Thought | Missing]) -> dict[tuple[str, int], Thought | Missing]:
    return {(one.problem, one.sample): one for one in found}


@pytest.mark.parametrize("protocol", [PROTOCOL, CONTROLLED], ids=["plain", "thinking off and loops"])
@pytest.mark.parametrize("model", [nano, rambling], ids=["whole", "rambling"])
def test_an_endpoint_gives_the_thoughts_of_the_engine_in_process(model: Any, protocol: Protocol) -> None:
    requests = nano_requests("chain", 12) + nano_requests("shallow", 4)

    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        with ALIVE:
            return 200, complete(model(), nano_tokenizer(), body)

    with endpoint(answer) as (url, _):
        served = by_key(list(engine(url, protocol).think(requests)))
    assert served == by_key(list(HFEngine(model(), protocol, 16).think(requests)))


def test_a_thought_is_asked_for_once_and_each_answer_once() -> None:
    (request,) = [r for r in nano_requests("chain", 20) if len(r.prompt_ids) > 50][:1]
    with endpoint(lambda body: (200, complete(nano(), nano_tokenizer(), body))) as (url, bodies):
        (thought,) = engine(url).think([request])
    assert isinstance(thought, Thought)
    assert len(bodies) == 1 + len(thought.answers)


def test_what_is_drawn_by_is_told_to_the_endpoint() -> None:
    (request,) = nano_requests("shallow", 1)
    rules = {"temperature": 0.6, "top_p": 0.95, "top_k": 20, "min_p": 0.1}
    with endpoint(lambda body: (200, complete(nano(), nano_tokenizer(), body))) as (url, bodies):
        list(engine(url, nano_protocol(BUDGETS, **rules)).think([request]))
    assert {key: bodies[0][key] for key in rules} == rules


def test_a_call_that_fails_for_a_moment_is_tried_again() -> None:
    (request,) = nano_requests("shallow", 1)
    replies = iter([(503, "busy")])
    with endpoint(lambda body: next(replies, None) or (200, complete(nano(), nano_tokenizer(), body))) as (url, _):
        (thought,) = engine(url).think([request])
    assert isinstance(thought, Thought)


@pytest.mark.parametrize(("reply", "reason"), [
    ((401, "no key"), "HTTP 401: no key (after 1 tries)"),
    ((500, "broken"), "HTTP 500: broken (after 2 tries)"),
    ((200, "<html>"), "the endpoint answered with no completion: '<html>'"),
    ((200, {"choices": []}), "the endpoint answered with no completion: '{\"choices\": []}'"),
    ((200, {"choices": [{"text": 3}]}), "the endpoint's text is int"),
    ((200, {"choices": [{"text": "", "finish_reason": "length"}]}), "the endpoint gave no token"),
])
def test_what_is_no_completion_is_missing_with_its_reason(reply: tuple[int, Any], reason: str) -> None:
    (request,) = nano_requests("shallow", 1)
    with endpoint(lambda body: reply) as (url, _):
        assert list(engine(url).think([request])) == [Missing(request.problem, 0, reason)]


def test_an_endpoint_that_is_not_there_ends_the_sweep_with_its_reason() -> None:
    section = ServerEngine(name="server", url="http://127.0.0.1:9/v1", model="m", retries=0)
    plan = nano_plan([nano_suite("shallow", 2)], BUDGETS, engine=section)
    with pytest.raises(UserError, match="no thought of suite shallow could be had; the first one: ConnectError"):
        sweep_model(None, plan, ALONE)


def test_a_missing_thought_is_counted_and_never_wrong() -> None:
    suite = nano_suite("shallow", 4)
    lost = suite.problems[1].question

    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        if lost in nano_tokenizer().decode(body["prompt"]):
            return 400, "refused"
        with ALIVE:
            return 200, complete(nano(), nano_tokenizer(), body)

    with endpoint(answer) as (url, _):
        section = ServerEngine(name="server", url=url, model="nano", retries=0)
        plan = nano_plan([suite], BUDGETS, engine=section)
        thoughts = sweep_model(None, plan, ALONE)["shallow"]
    assert [thought.failure for thought in thoughts] == ["", "HTTP 400: refused (after 1 tries)", "", ""]


def test_the_key_goes_with_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANO_KEY", "secret")
    section = ServerEngine(name="server", url="http://127.0.0.1:9", model="m", key_variable="NANO_KEY")
    completer = ServerCompleter(section, nano_protocol(BUDGETS), nano_tokenizer())
    assert completer.headers["Authorization"] == "Bearer secret"
