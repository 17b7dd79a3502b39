"""Verdicts at many sweeps: shares of the error, and how often a run says RETURNED falsely."""

import numpy as np
import pytest

from eval.numbers.contrasts import bounds
from eval.numbers.decide import Paired, decide, verdict_line
from eval.numbers.gains import slope_scale, slope_weights
from eval.numbers.sequences import LAST_ERROR, RUN_ERROR, interval_name, sweep_error
from recipes.sweep import VerdictSection

BUDGETS = (8, 16, 32, 64, 128)
SLOPE, SCALE = slope_weights(BUDGETS), slope_scale(BUDGETS)
SECTION = VerdictSection()
UNPRUNED, PRUNED = (0.1, 0.3, 0.55, 0.85, 0.95), (0.1, 0.12, 0.15, 0.2, 0.22)
# Accuracies of run, unpruned and pruned where the run has not returned, by as little as can be.
NOT_YET = {
    "gain at the margin": ((0.2, 0.35, 0.55, 0.8, 0.85), UNPRUNED, PRUNED),
    "level at the margin": ((0.05, 0.15, 0.25, 0.35, 0.45), (0.6, 0.65, 0.7, 0.75, 0.8), (0.1, 0.12, 0.15, 0.17, 0.2)),
    "rare failures": ((0, 0, 5 / 6, 5 / 6, 5 / 6), (0, 0, 1, 1, 1), (0, 0, 0.3, 0.3, 0.3)),
}


@pytest.mark.parametrize(("every", "most"), [(10, 400), (7, 100), (3, 10), (1, 2), (50, 100)])
def test_the_shares_of_a_run_add_up_to_its_error(every, most):
    swept = sorted({*range(every, most, every), most})
    shares = [sweep_error(step, every, most) for step in swept]
    assert sum(shares) == pytest.approx(RUN_ERROR) and shares[-1] == LAST_ERROR and len(set(shares[:-1])) == 1


@pytest.mark.parametrize(("every", "most"), [(10, 10), (20, 10), (1, 1)])
def test_a_single_sweep_has_the_whole_error(every, most):
    assert sweep_error(most, every, most) == RUN_ERROR


def _luck(generator, own, share):
    return np.where(generator.random(own.shape) < share, own, generator.random(own.shape))[..., None]


def _returned(run, unpruned, pruned, error):
    """Where RETURNED is said, [runs], for models [problems, runs, budgets]: `eval.verdict` on all runs at once."""
    gain = run @ SLOPE
    better, gap = run[..., -1] - pruned[..., -1], unpruned[..., -1] - pruned[..., -1]
    part = bounds(better - SECTION.min_recovered * gap, 1.0, error)[0]
    level = np.where(bounds(gap, 1.0, RUN_ERROR)[0] > 0, part, bounds(run[..., -1] - unpruned[..., -1], 1.0, error)[0])
    whole = bounds(gain - unpruned @ SLOPE, SCALE, error)[0] > -SECTION.margin
    return (bounds(gain, SCALE, error)[0] > 0) & whole & (level > -SECTION.level_margin)


def _share_of_runs(accuracies, problems, runs, errors, same_luck=0.5):
    """The share of `runs` in which RETURNED is said at any sweep; a list of shares for lists of `errors` by sweep.

    A thought is right where the problem's luck is below the accuracy; it is the problem's own with chance `same_luck`.
    """
    generator = np.random.default_rng(5)
    own = generator.random((problems, runs))
    run, unpruned, pruned = accuracies
    references = [(_luck(generator, own, 0.5) < np.array(a)).astype(float) for a in (unpruned, pruned)]
    said = np.zeros((len(errors), runs), dtype=bool)
    for by_sweep in zip(*errors, strict=True):
        now = (_luck(generator, own, same_luck) < np.array(run)).astype(float)
        said |= [_returned(now, *references, error) for error in by_sweep]
    return said.mean(axis=1)


def test_the_simulation_says_what_the_verdict_says():
    generator = np.random.default_rng(1)
    own = generator.random((60, 40))
    models = [(_luck(generator, own, 0.5) < np.array(a)).astype(float) for a in (UNPRUNED, UNPRUNED, PRUNED)]
    said = _returned(*models, 0.01)
    assert 0 < said.sum() < 40
    for i, expected in enumerate(said):
        words = decide(Paired(*(model[:, i] for model in models), BUDGETS), SECTION, 0.01).word
        assert (words == "RETURNED") == expected


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (0.05, "95 % interval"),
        (0.025, "97.5 % interval, simultaneous over all sweeps of the run"),
        (0.025 / 39, "99.94 % interval, simultaneous over all sweeps of the run"),
    ],
)
def test_names_of_intervals(error, name):
    assert interval_name(error) == name


FORTY = [sweep_error(step, 1, 40) for step in range(1, 41)]
EACH = [RUN_ERROR] * 40


def test_watching_forty_sweeps_inflates_no_false_positives():
    shared, each = _share_of_runs(NOT_YET["rare failures"], 80, 400, [FORTY, EACH])
    assert shared <= 0.05 and each > 0.2


@pytest.mark.slow
@pytest.mark.parametrize("world", NOT_YET)
@pytest.mark.parametrize("same_luck", [0.0, 0.5, 0.9])
def test_false_returned_over_forty_sweeps_is_at_most_five_in_a_hundred(world, same_luck):
    shared, each = _share_of_runs(NOT_YET[world], 150, 1500, [FORTY, EACH], same_luck)
    assert shared <= 0.035 and each > 0.08  # a statement errs on one side: 0.025 and two standard errors and a half


@pytest.mark.parametrize(("step", "times"), [(400, 1.21), (390, 2.31)])
def test_what_watching_costs_in_problems(step, times):
    """With `times` the problems a recovered model is called RETURNED as often as alone."""
    error, accuracies = sweep_error(step, 10, 400), ((0.1, 0.29, 0.53, 0.81, 0.91), UNPRUNED, PRUNED)
    (alone,) = _share_of_runs(accuracies, 100, 600, [[RUN_ERROR]])
    (paid,) = _share_of_runs(accuracies, round(100 * times), 600, [[error]])
    (unpaid,) = _share_of_runs(accuracies, 100, 600, [[error]])
    assert 0.7 < alone < 0.9 and abs(paid - alone) < 0.07 and unpaid < alone - 0.05


def test_a_verdict_on_the_way_is_wider_and_says_so():
    own = np.random.default_rng(4).random((200, 1))
    models = Paired(*((own < np.array(a)).astype(float) for a in (UNPRUNED, UNPRUNED, PRUNED)), BUDGETS)
    alone, on_the_way = decide(models, SECTION), decide(models, SECTION, 6e-4)
    assert (alone.error, on_the_way.error) == (0.05, 6e-4)
    assert (
        on_the_way.gain == alone.gain and on_the_way.gain_low < alone.gain_low < alone.gain_high < on_the_way.gain_high
    )
    assert "(99.94 % interval, simultaneous over all sweeps of the run)" in verdict_line(on_the_way)
    assert "sweeps" not in verdict_line(alone)
