"""Verdicts at many sweeps: shares of the error, and what sharing it saves and costs."""

import numpy as np
import pytest

from eval.numbers.foresight import simulated
from eval.numbers.retention import Paired
from eval.numbers.sequences import LAST_ERROR, RUN_ERROR, interval_name, sweep_error
from tests.bench.verdicts import BUDGETS, NANO, NANO_2, NOT_YET, UNLIKE, World, simulate, word


@pytest.mark.parametrize(("every", "most"), [(10, 400), (7, 100), (3, 10), (1, 2), (50, 100)])
def test_the_shares_of_a_run_add_up_to_its_error(every, most):
    swept = sorted({*range(every, most, every), most})
    shares = [sweep_error(step, every, most) for step in swept]
    assert sum(shares) == pytest.approx(RUN_ERROR) and shares[-1] == LAST_ERROR and len(set(shares[:-1])) == 1


@pytest.mark.parametrize(("every", "most"), [(10, 10), (20, 10), (1, 1)])
def test_a_single_sweep_has_the_whole_error(every, most):
    assert sweep_error(most, every, most) == RUN_ERROR


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


def _ever_returned(world, problems, repetitions, errors):
    """The shares of runs of forty sweeps in which RETURNED is said at any, for each list of `errors`."""
    generator, said = np.random.default_rng(5), np.zeros(len(errors))
    for _ in range(repetitions):
        own = UNLIKE.hardness(problems, generator)
        references = simulated([world.unpruned, world.pruned], 1, generator, own)
        sweeps = [Paired(simulated([world.run], 1, generator, own)[0], *references, BUDGETS) for _ in range(40)]
        for k, by_sweep in enumerate(errors):
            said[k] += any(word(models, error) == "RETURNED" for models, error in zip(sweeps, by_sweep, strict=True))
    return said / repetitions


@pytest.mark.slow
def test_watching_forty_sweeps_inflates_no_false_positives():
    shared, each = _ever_returned(NOT_YET["gain and shortfall, MATH-500"], 500, 60, [FORTY, EACH])
    assert shared <= 0.05 and each > 0.2


@pytest.mark.parametrize(("step", "times"), [(400, 1.21), (390, 2.31)])
def test_what_watching_costs_in_problems(step, times):
    """With `times` the problems a recovered model is called RETURNED as often as alone."""
    error, world, generator = sweep_error(step, 10, 400), World(NANO, NANO, NANO_2), np.random.default_rng(6)

    def returned(problems, error):
        return sum(word(simulate(world, (problems, 1), generator), error) == "RETURNED" for _ in range(400)) / 400

    alone, paid, unpaid = returned(100, RUN_ERROR), returned(round(100 * times), error), returned(100, error)
    assert 0.6 < alone < 0.9 and abs(paid - alone) < 0.1 and unpaid < alone - 0.05
