"""A suite's hash stands for all that is asked; its chance is that of guessing among the choices."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from data_prep.problem import Problem, Suite
from tests.data_prep.suite_files import ROW, jsonl, write

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


def test_every_way_of_asking_has_a_hash_of_its_own(tmp_path: Path) -> None:
    path = write(tmp_path / "s.jsonl", [ROW])
    ways = [{}, *({"method": "likelihood", "likelihood": way} for way in ("letter", "text", "text_normalised"))]
    assert len({jsonl(path, **way).hash for way in ways}) == 4


def test_chance_is_the_mean_over_problems_and_none_without_choices(tmp_path: Path) -> None:
    rows = [ROW, {**ROW, "id": "b", "choices": ["a", "b", "c", "d"]}]
    assert jsonl(write(tmp_path / "s.jsonl", rows)).chance == 0.375
    assert jsonl(write(tmp_path / "s.jsonl", [{"problem": "p", "answer": "4"}])).chance is None
