"""Problems of Reasoning Gym are made in a process of their own; here a stand-in takes the library's place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_prep.suites.load import load_suite
from data_prep.suites.reasoning_gym import reasoning_gym_problems, tuples_as_objects
from recipes.errors import UserError
from recipes.suites import ReasoningGymSuite

LIBRARY = """
def create_dataset(task, size, seed):
    print("...", end="")  # as some tasks do
    return [{"question": f"{task} {seed} {i}?", "answer": str(i), "metadata": {"pair": (i, [i])}} for i in range(size)]
"""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "reasoning_gym"
    package.mkdir()
    (package / "__init__.py").write_text(LIBRARY)
    (package / "factory.py").write_text("DATASETS = {'chain_sum': None, 'sudoku': None}\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)


def section(task: str) -> ReasoningGymSuite:
    return ReasoningGymSuite(source="reasoning_gym", name="s", task=task, size=2, seed=5)


@pytest.mark.usefixtures("library")
def test_problems_carry_the_task_and_the_whole_entry() -> None:
    first, second = reasoning_gym_problems(section("chain_sum"), "where")
    assert (first.id, second.id, second.question) == ("chain_sum-5-0", "chain_sum-5-1", "chain_sum 5 1?")
    entry = {"question": "chain_sum 5 1?", "answer": "1", "metadata": {"pair": {"tuple": [1, [1]]}}}
    assert json.loads(second.answer) == {"task": "chain_sum", "entry": entry}


@pytest.mark.usefixtures("library")
def test_an_unknown_task_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"where\.task: .*'chain_sums' \(no such task; did you mean chain_sum\?\)"):
        reasoning_gym_problems(section("chain_sums"), "where")


def test_tuples_are_told_from_lists_at_any_depth() -> None:
    assert tuples_as_objects({"a": [(1, [2])], "b": "x"}) == {"a": [{"tuple": [1, [2]]}], "b": "x"}


def test_reasoning_gym_without_its_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data_prep.suites.reasoning_gym.find_spec", lambda name: None)
    section = ReasoningGymSuite(source="reasoning_gym", name="s", task="chain_sum", size=2)
    with pytest.raises(UserError, match=r"sweep\.suites \(s\): .* pip install 'chainmend\[reasoning-gym\]'"):
        load_suite(section)
