"""A judge over real HTTP: what is asked, what is read, and what is missing instead of 0."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from eval.judge import judge_thoughts, read_counts
from eval.kept_sweep import KeptSweep, Place
from eval.samples import GradedThought, read_sweep, sweep_style
from eval.types import Judgement, Weights
from recipes.sweep import JudgeSection
from runtime.ranks import ALONE
from tests.eval.endpoints import endpoint
from tests.eval.worlds import nano, nano_spec, nano_suite
from tests.runtime.servers import CLOSED, silent_server

COUNTS = {"verification": 2, "backtracking": 0, "subgoals": 1}
KEY = "sk-very-secret"


def thought(thinking: str, problem: str = "p") -> GradedThought:
    return GradedThought(problem, 0, "close", 0, thinking, ())


def section(url: str, **changes: Any) -> JudgeSection:
    keys = {"retries": 1, "concurrency": 2, "key_variable": "JUDGE_KEY", **changes}
    return JudgeSection(url=url, model="wise", **keys)


def chat(text: Any) -> tuple[int, Any]:
    return 200, {"choices": [{"message": {"role": "assistant", "content": text}}]}


def judged(reply: tuple[int, Any], thinking: str = "a b c d", **changes: Any) -> tuple[Judgement, list[dict[str, Any]]]:
    with endpoint(lambda body: reply) as (url, bodies):
        (one,) = judge_thoughts([thought(thinking)], {"p"}, section(url, **changes))
    assert one.judged is not None
    return one.judged, bodies


def test_the_counts_of_a_thought_and_what_was_asked() -> None:
    found, (body,) = judged(chat(json.dumps(COUNTS)), "Check it again. Wait.")
    assert found == Judgement("wise", 4, False, COUNTS)
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("wise", 0, 512)
    (message,) = body["messages"]
    assert "<reasoning>\nCheck it again. Wait.\n</reasoning>" in message["content"]
    assert "is cut" not in message["content"]


def test_a_long_thought_is_cut_and_the_judge_is_told() -> None:
    found, (body,) = judged(chat(json.dumps(COUNTS)), "word " * 100, max_characters=50)
    text = body["messages"][0]["content"]
    assert (found.words, found.cut) == (10, True)
    assert "its first 50 of 500 characters" in text and text.count("word") == 10


@pytest.mark.parametrize(
    "text",
    [
        '```json\n{"verification": 2, "backtracking": 0, "subgoals": 1}\n```',
        '<think>{"verification": 1, "backtracking": 1, "subgoals": 1}? no</think> '
        '{"subgoals":1,"verification":2,"backtracking":0}',
    ],
)
def test_the_last_object_of_a_reply_counts(text: str) -> None:
    assert judged(chat(text))[0].counts == COUNTS


@pytest.mark.parametrize("text", [
    "", "none", "[2, 0, 1]", "{}", '{"verification": 2, "backtracking": 0}', '{"verification": 2, "backtracking": 0,',
    *(f'{{"verification": {two}, "backtracking": 0, "subgoals": 1}}' for two in ("true", "-1", "2.5", '"2"', "NaN")),
    '{"verification": 5, "backtracking": 0, "subgoals": 1}',  # more than the four words of the thought
    f'{{"verification": {"9" * 5000}, "backtracking": 0, "subgoals": 1}}', "{" * 100_000, "{nan}",
    '{"verification": 2, "backtracking": 0, "subgoals": 1, "mood": 3}',
])  # fmt: skip
def test_rubbish_is_no_count(text: str) -> None:
    assert read_counts(text, 4) is None


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (chat("I would say two."), "no counts in the reply: 'I would say two.'"),
        (chat(None), "no chat completion: "),
        ((200, "<html>"), "no chat completion: '<html>'"),
        ((200, {"choices": []}), "no chat completion: "),
        ((400, "too long"), "HTTP 400: too long (after 1 tries)"),
        ((503, "bu\x1b[2Jsy\n"), "HTTP 503: bu [2Jsy  (after 2 tries)"),
    ],
)
def test_a_failure_is_missing_with_its_reason_and_never_zero(reply: tuple[int, Any], reason: str) -> None:
    found, _ = judged(reply)
    assert found.counts is None and found.failure.startswith(reason)


def test_an_endpoint_that_lets_nobody_in_is_asked_once_and_the_key_is_in_no_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("JUDGE_KEY", KEY + "\n")
    with endpoint(lambda body: (401, f"bad key {KEY}")) as (url, bodies):
        found = judge_thoughts([thought("a b"), thought("c d")], {"p"}, section(url))
    assert len(bodies) == 1
    assert [one.judged and one.judged.failure for one in found] == ["HTTP 401: bad key [key] (after 1 tries)"] * 2


@pytest.mark.parametrize("reply", [(200, f"who is {KEY}?"), chat(f"who is {KEY}?")])
def test_the_key_is_in_no_reason_for_nonsense(monkeypatch: pytest.MonkeyPatch, reply: tuple[int, Any]) -> None:
    monkeypatch.setenv("JUDGE_KEY", KEY)
    assert "who is [key]?" in judged(reply)[0].failure


@pytest.mark.parametrize(("seconds", "reason"), [(0.05, "no answer within 0.05 s"), (5, "ConnectError: ")])
def test_an_endpoint_that_does_not_answer_is_a_reason_and_no_call_is_tried(seconds: float, reason: str) -> None:
    with silent_server() as silent:
        judge = section(silent if seconds < 1 else CLOSED, retries=9, timeout_seconds=seconds)
        (one,) = judge_thoughts([thought("a b")], {"p"}, judge)
    assert one.judged is not None and one.judged.failure.startswith(reason)


class OneReply(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_response(200)
        self.end_headers()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_HEAD()
        self.wfile.write(json.dumps(chat(json.dumps(COUNTS))[1]).encode())

    def log_message(self, *_: object) -> None:
        pass


def test_a_judge_that_has_stopped_answering_is_not_waited_for_at_every_thought() -> None:
    server = HTTPServer(("127.0.0.1", 0), OneReply)

    def serve() -> None:
        for _ in ("look", "call"):
            server.handle_request()
        server.server_close()

    thread = Thread(target=serve)
    thread.start()
    judge = section(f"http://127.0.0.1:{server.server_port}", retries=0, concurrency=1)
    found = judge_thoughts([thought("a b c d")] * 4, {"p"}, judge)
    thread.join()
    failures = [one.judged.failure for one in found if one.judged is not None]
    gone = [failure.startswith("the endpoint has stopped answering: ConnectError") for failure in failures]
    assert failures[0] == "" and failures[1] != "" and gone == [False, False, True, True]


def test_only_thoughts_of_the_chosen_problems_that_hold_a_word_are_asked_about() -> None:
    thoughts = [thought("a b c"), thought("a b c", "other"), thought(" \n")]
    with endpoint(lambda body: chat(json.dumps(COUNTS))) as (url, bodies):
        found = judge_thoughts(thoughts, {"p"}, section(url))
        assert judge_thoughts(thoughts[1:], {"p"}, section(url)) == thoughts[1:]
    assert [one.judged is not None for one in found] == [True, False, False] and len(bodies) == 1


def test_the_row_of_a_sweep_has_the_judge_beside_the_word_lists() -> None:
    none = json.dumps(COUNTS | {"verification": 0})
    replies = {"one": chat(json.dumps(COUNTS)), "two": chat("?"), "three": chat(none)}

    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        return next(reply for word, reply in replies.items() if f"\n{word} " in body["messages"][0]["content"])

    with endpoint(answer) as (url, _):
        judged = judge_thoughts([thought(f"{word} x y z") for word in replies], {"p"}, section(url))
    row = sweep_style("generate", judged)
    assert row is not None
    judge = row["judged"]
    assert (judge["judge"], judge["thoughts"], judge["missing"], judge["cut"]) == ("wise", 2, 1, 0)
    assert judge["failure"] == "no counts in the reply: '?'"
    assert judge["reflection"]["verification"] == {"per_1000_words": 250, "share": 0.5}  # 2 marks in 8 words
    assert judge["reflection"]["backtracking"] == {"per_1000_words": 0, "share": 0}
    assert row["reflection"]["verification"]["share"] == 0


def test_a_sweep_is_judged_and_its_samples_keep_it(tmp_path: Any) -> None:
    suite = nano_suite("chain", 3)
    none = dict.fromkeys(COUNTS, 0)
    with endpoint(lambda body: chat(json.dumps(none))) as (url, bodies):
        spec = nano_spec([suite], (4, 32), judge=section(url, problems=2))
        place = Place(tmp_path, "run", 0)
        sweep = KeptSweep(spec, place, "", ALONE).run(lambda: Weights(nano()))["chain"]
    assert len(bodies) == 2
    assert sweep.style is not None and sweep.style["judged"]["thoughts"] == 2
    assert read_sweep(place.file("chain")) == sweep
