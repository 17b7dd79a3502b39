"""Whether a recovered model pays: planted ones, whose answer is known."""

import numpy as np
import pytest

from eval.numbers.pays import cost_rows, costs, inflation_row, pays_line
from eval.numbers.retention import Paired

BUDGETS = (16, 32, 64, 128)
PROBLEMS = 400


def right(*accuracies):
    """[problems, budgets]: the first problems are right, so the means are exactly the accuracies."""
    return (np.arange(PROBLEMS)[:, None] < PROBLEMS * np.array(accuracies)).astype(float)


def tokens(times=1.0):
    return np.tile(np.array(BUDGETS) * times, (PROBLEMS, 1))


UNPRUNED = right(0.2, 0.4, 0.6, 0.8)
PRUNED = right(0.2, 0.2, 0.2, 0.2)


def models(run):
    return Paired(run, UNPRUNED, PRUNED, BUDGETS)


def line(run, run_tokens, share):
    spent = inflation_row(run_tokens[:, -1], tokens()[:, -1])
    return pays_line(cost_rows(models(run), run_tokens, tokens()), spent, share)


def test_the_same_accuracy_on_the_same_tokens_costs_what_is_left_of_the_parameters():
    rows = costs(cost_rows(models(UNPRUNED), tokens(), tokens()), 0.75)
    assert [(row["budget"], row["factor"]) for row in rows] == [(b, pytest.approx(0.75)) for b in BUDGETS[1:]]


def test_a_whole_recovery_of_a_smaller_model_pays():
    said = line(UNPRUNED, tokens(), 0.75)
    assert said.startswith(
        "Does it pay: yes, for the unpruned model's accuracy it takes of its FLOPs at 32 tokens 0.75 ("
    )
    assert said.endswith("; it writes 1.00 [1.00, 1.00] times the unpruned model's tokens")


def test_one_that_thinks_twice_as_long_for_the_same_is_no_gain():
    """Budgets are in tokens: with 32 it is where the unpruned model is with 16."""
    said = line(right(0.0, 0.2, 0.4, 0.6), tokens(), 0.75)
    assert said.startswith("Does it pay: n")


def test_one_that_writes_twice_the_tokens_at_every_budget_is_no_gain():
    said = line(UNPRUNED, tokens(2.0), 0.75)
    assert said == (
        "Does it pay: no, at every budget the unpruned model's accuracy takes more FLOPs than its own; it writes 2.00 "
        "[2.00, 2.00] times the unpruned model's tokens"
    )


def test_seconds_are_said_beside_flops_and_do_not_decide():
    rows = [
        {"budget": 32, "factor": 1.0, "low": 0.9, "high": 1.2, "at_most": False},
        {"budget": 64, "factor": 1.5, "low": 1.4, "high": None, "at_most": False},
    ]
    assert pays_line(rows, None, 0.75, 1.5) == (
        "Does it pay: yes, for the unpruned model's accuracy it takes of its FLOPs at 32 tokens 0.75 (below 0.90); a "
        "token took 1.50 times the unpruned model's seconds here, so of its seconds at 32 tokens 1.50 (below 1.80)"
    )


def test_where_it_does_not_pay_a_token_is_timed_all_the_same():
    rows = cost_rows(models(UNPRUNED), tokens(2.0), tokens())
    assert pays_line(rows, None, 0.75, 0.8).endswith("; a token took 0.80 times the unpruned model's seconds here")


def test_where_pruning_itself_cost_nothing_there_is_nothing_to_get_back():
    rows = cost_rows(Paired(UNPRUNED, UNPRUNED, UNPRUNED, BUDGETS), tokens(), tokens())
    assert pays_line(rows, None, 0.75).endswith(
        "the pruned model is not shown to be worse at any budget, so it pays without recovery"
    )


def test_the_interval_of_the_inflation_covers():
    generator, inside = np.random.default_rng(3), 0
    for _ in range(400):
        own = generator.lognormal(4, 0.5, 80)
        row = inflation_row(1.4 * own * generator.lognormal(-0.02, 0.2, 80), own)
        inside += row["low"] <= 1.4 <= row["high"]  # the mean of the second factor is 1
    assert inside / 400 > 0.95 - 3 * 0.011


def test_few_problems_show_nothing():
    few = [means[::40] for means in (right(0.1, 0.3, 0.5, 0.7), UNPRUNED, PRUNED)]
    spent = tokens()[:10]
    assert "yes" not in pays_line(cost_rows(Paired(*few, BUDGETS), spent, spent), None, 0.95)


def test_inflation_is_paired_by_problem():
    unpruned = np.linspace(10, 100, 50)
    row = inflation_row(1.5 * unpruned, unpruned)
    assert (row["fraction"], row["low"], row["high"]) == pytest.approx((1.5, 1.5, 1.5), abs=1e-6)


def test_one_problem_has_no_interval():
    assert inflation_row(np.array([3.0]), np.array([2.0])) is None
    assert (
        cost_rows(Paired(*[means[:1] for means in (UNPRUNED, UNPRUNED, PRUNED)], BUDGETS), tokens()[:1], tokens()[:1])
        is None
    )
