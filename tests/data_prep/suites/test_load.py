"""Suites: what is loaded, what is refused, and that the hash stands for all of it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from data_prep.problem import Problem, Suite
from data_prep.suites.load import load_suite
from recipes.errors import UserError
from recipes.suites import HubSuite, JsonlSuite, NanoSuite

GOOD = {"id": "p1", "problem": "2+2?", "answer": "4"}


def load(folder: Path, *rows: Any, grader: str = "exact") -> Suite:
    path = folder / "suite.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return load_suite(JsonlSuite.model_validate({"source": "jsonl", "name": "s", "path": path, "grader": grader}))


def test_missing_ids_are_row_numbers(tmp_path: Path) -> None:
    suite = load(tmp_path, {"question": "2+2?", "answer": 4.0}, GOOD, {"problem": "3+3?", "answer": "6"})
    assert [(p.id, p.question, p.answer) for p in suite.problems] == [
        ("0", "2+2?", "4"),
        ("p1", "2+2?", "4"),
        ("2", "3+3?", "6"),
    ]


def test_nano_suite() -> None:
    suite = load_suite(NanoSuite(source="nano", name="facts", family="knowledge", size=64))
    assert (suite.name, suite.grader, len(suite.problems)) == ("facts", "exact", 64)


@pytest.mark.parametrize(("family", "size"), [("knowledge", 64), ("shallow", 154)])
def test_a_nano_suite_larger_than_its_family_is_refused(family: str, size: int) -> None:
    section = NanoSuite.model_validate({"source": "nano", "name": "s", "family": family, "size": size + 1})
    with pytest.raises(UserError, match=rf"sweep\.suites \(s\)\.size: the {family} family has {size} problems"):
        load_suite(section)


def test_jsonl_suite(tmp_path: Path) -> None:
    suite = load(tmp_path, GOOD, {"id": 2, "problem": "3+3?", "answer": 6})
    assert suite == Suite("s", (Problem("p1", "2+2?", "4"), Problem("2", "3+3?", "6")), "exact")


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (GOOD, "'id' must differ from every other, 'p1' also stands at "),
        ({"problem": "q", "answer": "4", "id": "p1 "}, "'id' must differ from every other"),
        ({"id": 2, "text": "q", "answer": "4"}, "got None; the row has the columns id, text, answer"),
        ({**GOOD, "id": 2, "answer": float("nan")}, "every problem needs its gold answer"),
        (
            {**GOOD, "id": 2, "choices": ["a", "b"], "answer": "C"},
            "the answer must be a letter A to B or an index 0 to 1, got 'C'",
        ),
        (
            {**GOOD, "id": 2, "choices": ["a", "b"], "answer": 2},
            "the answer must be a letter A to B or an index 0 to 1, got 2",
        ),
        ({**GOOD, "id": 2, "choices": ["a", "b"], "answer": "a b"}, "the answer must be a letter"),
        ({**GOOD, "id": 2, "choices": ["a"], "answer": "A"}, "a multiple choice has 2 to 10 choices, this one has 1"),
        ({**GOOD, "id": 2, "choices": "ab", "answer": "A"}, "choices must be a list of texts, got 'ab'"),
        ({**GOOD, "id": 2, "choices": ["a", " "], "answer": "A"}, "choice B is empty"),
        ({**GOOD, "id": 2, "answer": "  "}, "every problem needs its gold answer"),
        ({**GOOD, "id": 2, "answer": None}, "every problem needs its gold answer"),
        ({**GOOD, "id": 2, "answer": ["4"]}, "'answer' must be a text or a number"),
        ({"id": 2, "problem": "q"}, "'answer' must be a text or a number, got None"),
        ({"id": 2, "answer": "4"}, "'problem' must be text that is not empty, got None"),
        ({**GOOD, "id": 2, "problem": ""}, "'problem' must be text that is not empty"),
        ([1], "a row must be an object, got list"),
    ],
)
def test_a_broken_row_is_named(tmp_path: Path, row: Any, says: str) -> None:
    with pytest.raises(UserError) as caught:
        load(tmp_path, GOOD, row)
    assert str(caught.value).startswith(f"{tmp_path / 'suite.jsonl'}:2: ")
    assert says in str(caught.value)


def test_a_line_that_is_not_json_is_named(tmp_path: Path) -> None:
    path = tmp_path / "suite.jsonl"
    path.write_text("oops\n")
    with pytest.raises(UserError, match=r"suite\.jsonl:1: not JSON"):
        load_suite(JsonlSuite(source="jsonl", name="s", path=path))


def test_an_empty_suite_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"sweep\.suites \(s\): there is no problem in it"):
        load(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"sweep\.suites \(s\)\.path: no file at "):
        load_suite(JsonlSuite(source="jsonl", name="s", path=tmp_path / "none.jsonl"))


@pytest.mark.parametrize("answer", ["1/2", "#### 72", "seven", "7.5"])
def test_the_integer_grader_refuses_other_gold_answers(tmp_path: Path, answer: str) -> None:
    with pytest.raises(UserError, match=r"the answer of problem p1 is .* which grader=integer cannot compare"):
        load(tmp_path, {**GOOD, "answer": answer}, grader="integer")


@pytest.mark.parametrize("answer", ["033", "-7", "1,234", 5, "27.0"])
def test_the_integer_grader_takes_integers(tmp_path: Path, answer: str | int) -> None:
    assert load(tmp_path, {**GOOD, "answer": answer}, grader="integer").problems[0].answer == str(answer)


def test_a_data_set_with_other_column_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "test.jsonl").write_text('{"q": "2+2?", "gold": 4}\n{"q": "3+3?", "gold": 6}\n')
    suite = load_suite(HubSuite(source="hub", name="s", id=str(folder), problem="q", answer="gold"))
    assert suite == Suite("s", (Problem("0", "2+2?", "4"), Problem("1", "3+3?", "6")), "math")


SUITE = Suite("s", (Problem("a", "q", "1"), Problem("b", "r", "2")), "exact")


@pytest.mark.parametrize(
    "other",
    [
        dataclasses.replace(SUITE, grader="integer"),
        dataclasses.replace(SUITE, problems=(SUITE.problems[0], Problem("b", "r", "3"))),
        dataclasses.replace(SUITE, problems=(Problem("a", "Q", "1"), SUITE.problems[1])),
        dataclasses.replace(SUITE, problems=(Problem("A", "q", "1"), SUITE.problems[1])),
        dataclasses.replace(SUITE, problems=SUITE.problems[::-1]),
        dataclasses.replace(SUITE, problems=SUITE.problems[:1]),
        dataclasses.replace(SUITE, problems=(SUITE.problems[0], Problem("b", "r", "2", ("x", "y")))),
    ],
    ids=["grader", "answer", "question", "id", "order", "fewer", "choices"],
)
def test_the_hash_changes_with_anything_that_is_asked(other: Suite) -> None:
    assert other.hash != SUITE.hash


def test_the_hash_is_of_the_problems_not_of_their_name() -> None:
    assert dataclasses.replace(SUITE, name="t").hash == SUITE.hash


def test_a_size_draws_that_many_problems_by_the_seed_and_keeps_their_order(tmp_path):
    path = tmp_path / "suite.jsonl"
    path.write_text("".join(f'{{"id": "{i}", "problem": "p{i}", "answer": "{i}"}}\n' for i in range(50)))

    def drawn(seed):
        section = JsonlSuite(source="jsonl", name="s", path=path, grader="exact", size=20, seed=seed)
        return [int(problem.id) for problem in load_suite(section).problems]

    assert len(drawn(0)) == 20 and drawn(0) == sorted(drawn(0)) == drawn(0) != drawn(1)


def test_a_size_beyond_the_suite_is_refused(tmp_path):
    path = tmp_path / "suite.jsonl"
    path.write_text('{"id": "1", "problem": "p", "answer": "1"}\n')
    with pytest.raises(UserError, match=r"size: 2 problems were asked for, there are 1"):
        load_suite(JsonlSuite(source="jsonl", name="s", path=path, grader="exact", size=2))
