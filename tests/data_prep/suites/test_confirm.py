"""Problems that no sweep sees: disjoint by what is asked, whatever their source, and enough of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from data_prep.problem import Problem, Suite
from data_prep.suites.choices import render_choices
from data_prep.suites.confirm import confirm_suite, measured_suites, problem_key
from data_prep.suites.load import load_suite
from recipes.errors import UserError
from recipes.sweep import SweepSection
from tests.data_prep.suite_files import write

ROWS = [{"id": str(n), "problem": f"What is {n} + {n}?", "answer": str(2 * n), "group": f"g{n % 3}"} for n in range(20)]


def section(*suites: dict[str, Any], **confirm: Any) -> SweepSection:
    given = {"budgets": [8, 16], "every_steps": 1, "answer_tokens": 4, "suites": list(suites)}
    return SweepSection.model_validate({**given, "confirm": confirm or None})


def own(path: Path, rows: list[dict[str, Any]], **keys: Any) -> dict[str, Any]:
    return {"source": "jsonl", "name": path.stem, "path": str(write(path, rows)), **keys}


def chains(size: int, **keys: Any) -> dict[str, Any]:
    return {"source": "nano", "name": "chain", "family": "chain", "size": size, **keys}


def confirming(sweep: SweepSection) -> Suite:
    suite = confirm_suite(sweep, [load_suite(each) for each in sweep.suites])
    assert suite is not None
    return suite


def questions(*suites: Suite) -> set[str]:
    return {problem.question for suite in suites for problem in suite.problems}


def test_without_the_section_nothing_confirms() -> None:
    sweep = section(chains(4))
    assert [suite.name for suite in measured_suites(sweep)] == ["chain"]


@pytest.mark.parametrize("seed", [0, 1])  # 0: the seed of the swept ones, after which come new ones
def test_a_suite_that_is_made_gives_new_problems(seed: int) -> None:
    swept, suite = measured_suites(section(chains(40), problems=30, seed=seed))
    assert (suite.name, len(suite.problems), len(questions(suite))) == ("chain-confirm", 30, 30)
    assert not questions(swept) & questions(suite)


def test_another_seed_makes_others() -> None:
    one, other = (confirming(section(chains(40), problems=30, seed=seed)) for seed in (1, 2))
    assert not questions(one) & questions(other) and one.hash != other.hash


def test_a_suite_that_is_read_gives_what_the_sweeps_leave_with_its_columns(tmp_path: Path) -> None:
    sweep = section(own(tmp_path / "own.jsonl", ROWS, size=12, instruction="Box it."), problems=8)
    swept, suite = measured_suites(sweep)
    assert questions(swept, suite) == {f"{row['problem']}\n\nBox it." for row in ROWS}
    assert (suite.groups, suite.grader, suite.instruction) == (
        {row["id"]: row["group"] for row in ROWS if row["id"] in {problem.id for problem in suite.problems}},
        "math",
        "Box it.",
    )


def test_too_few_that_no_sweep_sees_are_refused_with_both_numbers(tmp_path: Path) -> None:
    sweep = section(own(tmp_path / "own.jsonl", ROWS, size=12), problems=9)
    with pytest.raises(UserError, match=r"confirm\.problems=9: suite own has 8 that no sweep sees \(of 20\)"):
        confirming(sweep)


def test_a_closed_family_has_no_more_than_it_has() -> None:
    facts = {"source": "nano", "name": "facts", "family": "knowledge", "size": 60}
    assert len(confirming(section(facts, problems=4)).problems) == 4
    with pytest.raises(UserError, match=r"suite facts has 4 that no sweep sees \(of 64\)"):
        confirming(section(facts, problems=5))


def test_what_any_suite_of_the_sweep_asks_is_seen(tmp_path: Path) -> None:
    """The same question under another id, with other case and spaces, in a suite that does not decide."""
    again = [{"id": f"x{row['id']}", "problem": row["problem"].upper().replace(" ", "  "), "answer": 0} for row in ROWS]
    other, deciding = own(tmp_path / "other.jsonl", again[:5]), own(tmp_path / "own.jsonl", ROWS, size=10)
    with pytest.raises(UserError, match=r"has [5-9] that no sweep sees \(of 20\)"):
        confirming(section(other, deciding, problems=10))


def test_another_suite_is_taken_as_it_is_but_for_what_was_seen(tmp_path: Path) -> None:
    rows = [{"id": f"n{n}", "problem": f"What is {n} + {n}?", "answer": str(2 * n)} for n in range(15, 30)]
    swept, later = own(tmp_path / "own.jsonl", ROWS), own(tmp_path / "later.jsonl", rows)
    suite = confirming(section(swept, problems=10, suite=later))
    assert (suite.name, {problem.id for problem in suite.problems}) == (
        "later-confirm",
        {f"n{n}" for n in range(20, 30)},
    )
    with pytest.raises(UserError, match=r"suite later has 10 that no sweep sees \(of 15\)"):
        confirming(section(swept, problems=11, suite=later))


def test_the_order_of_choices_makes_no_other_problem() -> None:
    def choice(question: str, *choices: str) -> Problem:
        return Problem("id", render_choices(question, choices), "A", choices)

    one = problem_key(choice("Which?", "red", "blue"))
    assert problem_key(choice("which? ", "blue", "red")) == one
    assert problem_key(choice("Which?", "red", "green")) != one  # a stock question asks something else each time
