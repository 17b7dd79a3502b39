"""Reasoning Gym's own scorers, in the worker; skipped where the extra is not installed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_prep.grading.grade import grade_all, grader_version
from data_prep.grading.pool import GradingPool
from data_prep.suites.load import load_suite
from recipes.errors import UserError
from recipes.suites import ReasoningGymSuite

pytest.importorskip("reasoning_gym", reason="the extra reasoning-gym is not installed")

CODE = [
    "__import__('os').system('touch harm')",
    "open('harm', 'w').write('x')",
    "__import__('os').kill(1, 0)",
    "[0] * 10**11",
    "__import__('subprocess').run(['touch', 'harm'])",
    "__import__('socket').socket()",
    "__import__('shutil').rmtree('.')",
]


def section(task: str, size: int = 3, seed: int = 5) -> ReasoningGymSuite:
    return ReasoningGymSuite(source="reasoning_gym", name="s", task=task, size=size, seed=seed)


@pytest.fixture(scope="module")
def pool() -> Iterator[GradingPool]:
    pool = GradingPool("reasoning_gym", workers=1, seconds=3)
    yield pool
    pool.close()


@pytest.mark.slow
@pytest.mark.parametrize("task", ["chain_sum", "polynomial_multiplication", "spell_backward", "n_queens", "rearc"])
def test_the_gold_answer_scores_and_another_does_not(task: str, pool: GradingPool) -> None:
    suite = load_suite(section(task))
    assert suite.grader == "reasoning_gym" and len(suite.problems) == 3
    assert suite == load_suite(section(task)) and suite.hash != load_suite(section(task, seed=6)).hash
    golds = [problem.answer for problem in suite.problems]
    answers = [json.loads(gold)["entry"]["answer"] for gold in golds]
    right = grade_all([f"so <answer>{answer}</answer>" for answer in answers], golds, "reasoning_gym", pool)
    assert [(grade.correct, grade.reason) for grade in right] == [(True, "equal")] * 3
    wrong = grade_all(["<answer>no idea</answer>", ""], golds[:2], "reasoning_gym", pool)
    assert not any(grade.correct for grade in wrong) and wrong[1].reason == "no answer"


@pytest.mark.slow
def test_answers_that_are_code_do_no_harm(pool: GradingPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (gold,) = (problem.answer for problem in load_suite(section("n_queens", size=1)).problems)
    endless = ["__import__('time').sleep(99)", "__import__('os')._exit(0)"]
    grades = grade_all(
        [f"<answer>{text}</answer>" for text in [*CODE, *endless]], [gold] * (len(CODE) + 2), "reasoning_gym", pool
    )
    assert not any(grade.correct for grade in grades)
    assert [grade.reason for grade in grades[-2:]] == ["grader timeout", "grader died"]
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_an_unknown_task_is_named() -> None:
    with pytest.raises(
        UserError, match=r"sweep\.suites \(s\)\.task: .*'chain_sums' \(no such task; did you mean chain_sum"
    ):
        load_suite(section("chain_sums"))


def test_version() -> None:
    assert grader_version("reasoning_gym").startswith("reasoning_gym 2, reasoning-gym ")
