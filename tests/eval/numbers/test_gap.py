"""Whether two references can show recovery, by means of known truth."""

from __future__ import annotations

import numpy as np
import pytest

from eval.numbers.gap import gap_faults, suite_gap
from eval.types import Score, SuiteSweep
from tests.eval.numbers.made_models import BUDGETS, PRUNED, UNPRUNED, model_means

FLAT = (0.5,) * 5


def faults(unpruned, pruned, problems=200):
    return gap_faults(model_means(unpruned, problems, 1), model_means(pruned, problems, 2), BUDGETS, 0.05)


def test_references_that_differ_have_no_fault():
    assert faults(UNPRUNED, PRUNED) == []


def test_a_pruned_model_that_is_as_good_is_told_with_what_to_change():
    (fault,) = faults(UNPRUNED, UNPRUNED)
    assert fault.startswith("the pruned model is not shown to be worse than the unpruned one at 128 tokens")
    assert "use a harder suite, a larger budget or a deeper cut" in fault


def test_an_unpruned_model_that_gains_nothing_is_told_with_what_to_change():
    (fault,) = faults(FLAT, (0.1,) * 5)
    assert fault.startswith("the unpruned model gains less than sweep.verdict.delta=0.05 over all budgets")
    assert fault.endswith("use a harder suite or a wider range of budgets")


def test_both_may_be_at_fault():
    assert len(faults(FLAT, FLAT)) == 2


def test_a_gain_that_is_not_shown_says_how_many_problems_would_show_it():
    (fault,) = faults((0.5, 0.52, 0.53, 0.54, 0.58), (0.1,) * 5, 40)
    assert fault.startswith("the unpruned model is not shown to gain") and "more problems (40 now; " in fault


@pytest.mark.parametrize(
    ("shape", "budgets", "said"),
    [((9, 1), (8,), "one budget above 0"), ((9, 2), (0, 8), "one budget above 0"), ((1, 5), BUDGETS, "no interval")],
)
def test_too_little_for_any_verdict(shape, budgets, said):
    (fault,) = gap_faults(np.ones(shape), np.zeros(shape), budgets, 0.05)
    assert said in fault


def sweep(model, right):
    """Problem n is right at budget 32 for n below `right`, and never at 16."""
    scores = [
        Score(f"p{n}", 0, budget, n < right and budget == 32, "", "", budget, 1, True, False, False)
        for n in range(40)
        for budget in (16, 32)
    ]
    return SuiteSweep(model, 0, "chain", (16, 32), tuple(scores), "protocol")


def test_sweeps_are_paired_by_problem_and_clustered_by_group():
    assert suite_gap(sweep("unpruned", 30), sweep("pruned", 10), 0.05) == []
    one = {f"p{n}": "one" if n % 2 else "two" for n in range(40)}
    grouped = SuiteSweep(**{**vars(sweep("unpruned", 30)), "groups": one})
    assert "more groups (2 now" in " ".join(suite_gap(grouped, sweep("pruned", 25), 0.05))
