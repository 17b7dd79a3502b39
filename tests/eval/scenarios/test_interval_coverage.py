"""How often 95 % intervals hold the truth, by simulation: every kind of interval that a sweep reports."""

import math

import pytest

from tests.bench.coverage import CURVES, KINDS, PAIRS


def _standard_error(repetitions):
    return math.sqrt(0.95 * 0.05 / repetitions)


def _cells(kind, worlds):
    coverage, truths = KINDS[kind]
    return [pytest.param(coverage, world, truths[name], id=f"{kind} {world} {name}") for world, name in worlds]


@pytest.mark.parametrize(
    ("coverage", "world", "truth"),
    [
        *_cells("accuracy", [((30, 4, 0.5), "0.05"), ((30, 16, 0.5), "0.05"), ((30, 4, 0.9), "0.1")]),
        *_cells("paired difference", [((30, 1, 0), ".95 .22"), ((30, 4, 0.5), ".6 .5")]),
        *_cells("recovered fraction", [((30, 1, 0), ".92 .95 .1"), ((100, 16, 0.5), ".92 .95 .1")]),
    ],
)
def test_weak_points_of_simpler_intervals_are_covered(coverage, world, truth):
    assert coverage(world, truth, 1000) > 0.93 - 2.5 * _standard_error(1000)


ALIKE = [(p, *thoughts) for p in (30, 100, 500) for thoughts in ((1, 0.0), (4, 0.0), (4, 0.5), (4, 0.9))]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("coverage", "world", "truth"),
    [
        *_cells("accuracy", [(world, name) for world in ALIKE for name in ("0.05", "0.2", "0.5", "0.9")]),
        *_cells("pass@2", [(world, name) for world in ALIKE if world[1] > 1 for name in ("0.1", "0.5")]),
        *_cells("gain per doubling", [(world, name) for world in ALIKE for name in ("rises", "high")]),
        *_cells("paired difference", [(world, name) for world in ALIKE for name in (".95 .22", ".6 .5", ".08 .05")]),
        *_cells("recovered fraction", [(world, ".6 .9 .2") for world in ALIKE]),
    ],
)
def test_95_percent_intervals_hold_the_truth_as_often_as_they_say(coverage, world, truth):
    """93 … 97 % and Monte Carlo error; above 97 % only where few problems show a difference (the docstrings say so)."""
    repetitions = 3000
    held = coverage(world, truth, repetitions)
    assert held > 0.93 - 2.5 * _standard_error(repetitions)
    if world[0] >= 100 and world[1] == 1 and truth in (0.2, 0.5, CURVES["rises"], PAIRS[".6 .5"]):
        assert held < 0.97 + 2.5 * _standard_error(repetitions)
