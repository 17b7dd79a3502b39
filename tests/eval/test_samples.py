"""Graded thoughts: what is graded, the scores that follow, and the file they are kept in."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from data_prep.grading.grade import Grade
from data_prep.problem import Problem, Suite
from data_prep.tokens.prompts import encode, think_format
from eval.numbers.style import style_row
from eval.samples import (
    GradedAnswer,
    GradedThought,
    _candidate,
    answer_text,
    grade_thoughts,
    read_sweep,
    write_samples,
)
from eval.types import Answer, Score, Stop, SuiteSweep, Thought
from recipes.data import FormatSection
from recipes.errors import UserError
from tests.data_prep.tokenizers import qwen_like
from tests.eval.worlds import nano_protocol, nano_tokenizer

RIGHT, WRONG = Grade(True, "7", "equal"), Grade(False, "8 “é”", "differs")
FORCED = GradedAnswer((2,), 2, 3, True, False, "answer 8 “é”", WRONG)
OWN = GradedAnswer((4, 8), 3, 1, False, True, "answer 7", RIGHT)
THOUGHT = GradedThought("p", 1, "close", 2, "#1 +3\n\u2028", (FORCED, OWN))
SUITE = Suite("s", (Problem("p", "q", "7"), Problem("q", "q", "9")), "exact")


def ids(text: str) -> tuple[int, ...]:
    return tuple(nano_tokenizer().encode(text, add_special_tokens=False))


def graded(thinking: str, answer: str, stop: Stop = "close") -> GradedThought:
    thinking_ids = ids(thinking)
    answers = (Answer((4,), len(thinking_ids), ids(answer), True),)
    thought = Thought("p", 0, thinking_ids, stop, 0, answers)
    return grade_thoughts([thought], SUITE, nano_protocol([4]), nano_tokenizer())[0]


def test_a_row_comes_back_as_it_was() -> None:
    assert GradedThought.of_row(json.loads(json.dumps(THOUGHT.row()))) == THOUGHT


def test_scores_by_hand() -> None:
    assert THOUGHT.scores() == [
        Score("p", 1, 2, False, "8 “é”", "differs", 2, 3, closed=False, cut=False, looping=False),
        Score("p", 1, 4, True, "7", "equal", 3, 1, closed=True, cut=True, looping=True),
        Score("p", 1, 8, True, "7", "equal", 3, 1, closed=True, cut=True, looping=True),
    ]


def test_a_thought_that_a_budget_or_end_of_sequence_stopped_is_not_closed() -> None:
    for stop in ("budget", "eos"):
        assert not any(score.closed for score in dataclasses.replace(THOUGHT, stop=stop).scores())  # type: ignore[arg-type]


def test_an_answer_is_the_cue_and_what_follows() -> None:
    assert answer_text(ids("7"), nano_protocol([4]), nano_tokenizer()) == "answer 7"


def test_an_answer_of_a_byte_level_tokenizer_keeps_its_letters() -> None:
    tokenizer = qwen_like()
    protocol = dataclasses.replace(nano_protocol([4]), format=think_format(FormatSection(cue="Final:"), tokenizer))
    assert answer_text(tuple(" é √2\n".encode()), protocol, tokenizer) == "Final: é √2"


@pytest.mark.parametrize(
    ("answer", "grade"), [("12}<|im_end|>", True), ("12}. So 13", True), ("12", True), ("13}", False)]
)
def test_a_box_that_the_cue_opens_is_whole_for_the_grader(answer: str, grade: bool) -> None:
    tokenizer = qwen_like()
    fmt = think_format(FormatSection(cue="**Final Answer**\n\n\\boxed{"), tokenizer)
    protocol = dataclasses.replace(nano_protocol([4]), format=fmt)
    thought = Thought("p", 0, (65,), "close", 0, (Answer((4,), 1, encode(answer, tokenizer), True),))
    suite = Suite("s", (Problem("p", "q", "12"),), "integer")
    (graded,) = grade_thoughts([thought], suite, protocol, tokenizer)
    assert graded.answers[0].text.startswith("**Final Answer**\n\n\\boxed{1")
    assert graded.answers[0].grade.correct is grade


def test_a_close_right_after_a_budget_counts_there_and_thinking_off_is_never_closed() -> None:
    answers = [dataclasses.replace(FORCED, budgets=(b,), thinking_tokens=n) for b, n in ((0, 0), (2, 2), (3, 3))]
    thought = dataclasses.replace(
        THOUGHT, answers=(*answers, dataclasses.replace(OWN, budgets=(9,), thinking_tokens=3))
    )
    assert [(score.budget, score.closed) for score in thought.scores()] == [
        (0, False),
        (2, False),
        (3, True),
        (9, True),
    ]


def test_what_an_answer_votes_for_is_kept() -> None:
    thought = dataclasses.replace(THOUGHT, answers=(dataclasses.replace(OWN, voted="0.5"),))
    assert GradedThought.of_row(json.loads(json.dumps(thought.row()))) == thought
    assert [score.candidate for score in (*thought.scores(), *THOUGHT.scores())] == ["0.5", "0.5", "8 “é”", "7", "7"]


def test_where_each_answer_left_the_thought_is_kept() -> None:
    thinking = ids("#1 +3\n#2")
    answers = tuple(Answer((n,), n, (), True) for n in (2, len(thinking)))
    (result,) = grade_thoughts(
        [Thought("p", 0, thinking, "budget", 0, answers)], SUITE, nano_protocol([2, 9]), nano_tokenizer()
    )
    assert GradedThought.of_row(json.loads(json.dumps(result.row()))) == result
    first, whole = (result.thinking[: answer.thinking_characters] for answer in result.answers)
    assert (first, whole) == (nano_tokenizer().decode(list(thinking[:2])), result.thinking)
    assert "thinking_characters" not in THOUGHT.row()["answers"][0]  # a file of an earlier version stays as it was


def test_a_right_answer_is_right() -> None:
    assert graded("#1", "7").answers[0].grade == RIGHT


def test_the_right_answer_inside_the_thought_counts_for_nothing() -> None:
    assert graded("answer 7", "8").answers[0].grade == Grade(False, "8", "differs")


def test_an_empty_answer_is_no_answer_whatever_was_thought() -> None:
    assert graded("answer 7", "").answers[0].grade == Grade(False, "", "no answer")


def test_each_problem_is_graded_against_its_own_gold_answer() -> None:
    thoughts = [Thought(p, 0, (), "close", 0, (Answer((4,), 0, ids("9"), True),)) for p in ("p", "q")]
    grades = grade_thoughts(thoughts, SUITE, nano_protocol([4]), nano_tokenizer())
    assert [t.answers[0].grade.correct for t in grades] == [False, True]


def test_looping_looks_at_the_thinking_up_to_the_budget() -> None:
    thinking = (*range(20, 30), *[50] * 12)
    thought = Thought("p", 0, thinking, "budget", 0, (Answer((21,), 21, (), True), Answer((22,), 22, (), True)))
    (result,) = grade_thoughts([thought], SUITE, nano_protocol([21, 22]), nano_tokenizer())
    assert [answer.looping for answer in result.answers] == [False, True]


def test_a_thought_that_a_loop_stopped_loops_even_without_its_last_token() -> None:
    # the mark of a close of several tokens may begin a loop's last token, which is then taken off the thought
    thinking = (*range(20, 25), *[50] * 11)
    thought = Thought("p", 0, (*thinking, 50), "loop", 0, (Answer((8,), 8, (), True), Answer((30, 60), 16, (), True)))
    (result,) = grade_thoughts([thought], SUITE, nano_protocol([8, 30, 60]), nano_tokenizer())
    assert [score.looping for score in result.scores()] == [False, True, True]
    assert not any(score.closed for score in result.scores())


def test_a_samples_file_gives_its_sweep_back(tmp_path: Path) -> None:
    header = {"model": "run", "step": 30, "suite": "s", "budgets": [2, 4, 8], "protocol": "abc"}
    write_samples(tmp_path / "deep" / "s.jsonl", header, [THOUGHT])
    assert read_sweep(tmp_path / "deep" / "s.jsonl") == SuiteSweep(
        "run", 30, "s", (2, 4, 8), tuple(THOUGHT.scores()), "abc", style=style_row([THOUGHT.thinking], [])
    )


def test_a_samples_file_keeps_the_group_of_each_problem(tmp_path: Path) -> None:
    header = {"model": "run", "step": 30, "suite": "s", "budgets": [2, 4, 8], "protocol": "abc"}
    thoughts = [dataclasses.replace(THOUGHT, group="2024"), dataclasses.replace(THOUGHT, problem="q")]
    write_samples(tmp_path / "s.jsonl", header, thoughts)
    assert read_sweep(tmp_path / "s.jsonl").groups == {"p": "2024"}
    assert "group" not in THOUGHT.row()  # a file without groups stays as earlier versions wrote it


def test_a_samples_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    write_samples(path, {"first": 1}, [])

    class Broken(Exception):
        pass

    def rows():  # type: ignore[no-untyped-def]
        yield THOUGHT
        raise Broken

    try:
        write_samples(path, {"second": 2}, rows())
    except Broken:
        assert path.read_text() == '{"first": 1}\n'
    else:
        raise AssertionError("the fault was swallowed")


@pytest.mark.parametrize(
    "content", ["", "{", "[]\n", "7\n", '{"model": "run"}\n[]\n', '{"model": "run"}\n{}\n', "\x00"]
)
def test_a_file_that_holds_no_sweep_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "s.jsonl").write_text(content)
    with pytest.raises(UserError, match="s.jsonl: damaged, not the samples file of a sweep"):
        read_sweep(tmp_path / "s.jsonl")


@pytest.mark.parametrize(
    ("extracted", "grader", "voted"),
    [(r"\frac12", "math", "1/2"), (r"\dfrac{1}{2}", "math", "1/2"), ("0.5", "math", "1/2"), ("7", "integer", "")],
)
def test_equal_answers_vote_for_one_candidate_whatever_their_spelling(extracted: str, grader: str, voted: str) -> None:
    assert _candidate(extracted, grader) == voted
