"""What a suite can decide, before anything is measured."""

import numpy as np
import pytest

from eval.numbers.foresight import foresee, foresee_confirmed, simulated
from recipes.sweep import SweepSection
from tests.bench.verdicts import MATH, MATH_2, World, shares


def _section(**values):
    suite = {"source": "jsonl", "name": "math500", "path": "x.jsonl"}
    return SweepSection.model_validate(
        {"budgets": [512, 1024, 2048, 4096, 8192], "suites": [suite], "every_steps": 10, "answer_tokens": 4} | values
    )


def test_more_problems_and_more_thoughts_narrow_both_shares():
    few, many = (foresee(_section(), {"math500": count}, 10) for count in (128, 512))
    thoughts = foresee(_section(samples=8, temperature=1.0), {"math500": 512}, 10)
    assert few.level_half > 1.9 * many.level_half and few.gain_half > 1.9 * many.gain_half
    assert many.level_half > thoughts.level_half and many.needed > thoughts.needed and few.needed == many.needed


def test_a_run_with_sweeps_on_the_way_needs_more():
    alone, watched = (foresee(_section(), {"math500": 300}, steps) for steps in (10, 100))
    assert watched.needed > alone.needed and watched.level_half > alone.level_half


def test_the_number_needed_decides_a_whole_run_in_about_four_of_five():
    needed = foresee(_section(samples=4, temperature=1.0), {"math500": 500}, 10).needed
    said = shares(World(MATH, MATH, MATH_2), (needed, 4), 200)[0]["RETURNED"] / 200
    assert 0.65 <= said <= 0.95


def test_what_confirms_is_looked_at_once_and_so_needs_fewer():
    watched = foresee(_section(samples=4, temperature=1.0), {"math500": 300}, 100)
    once = foresee_confirmed(_section(samples=4, temperature=1.0, confirm={"problems": 300}))
    assert (once.suite, once.problems) == ("math500", 300)
    assert once.needed < watched.needed and once.gain_half < watched.gain_half
    assert foresee_confirmed(_section()) is None


def test_the_text_says_what_is_too_few():
    assert "TOO FEW" in str(foresee(_section(), {"math500": 40}, 10))
    assert "(enough)" in str(foresee(_section(samples=4, temperature=1.0), {"math500": 500}, 10))


@pytest.mark.parametrize(("budgets", "problems"), [([512], 100), ([0, 512], 100), ([512, 1024], 0), ([512, 1024], 1)])
def test_nothing_is_foreseen_where_no_verdict_is_possible(budgets, problems):
    assert foresee(_section(budgets=budgets), {"math500": problems}, 10) is None


def test_simulated_thoughts_have_the_accuracies_and_the_spread_of_a_recorded_sweep():
    generator = np.random.default_rng(3)
    (means,) = simulated([MATH], 1, generator, generator.standard_normal((20_000, 1)))
    assert means.mean(axis=0) == pytest.approx(MATH, abs=0.01)
    assert (means @ [-0.2, -0.1, 0, 0.1, 0.2]).std() == pytest.approx(0.08, abs=0.03)
