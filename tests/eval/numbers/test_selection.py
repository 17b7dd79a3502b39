"""Which sweep is the best, by hand."""

from __future__ import annotations

import pytest

from eval.numbers.selection import best_step, metric_values
from eval.numbers.summary import Row
from recipes.guard import SweepMetric

GAIN = SweepMetric("chain", "gain")


def gains(values: dict[int, float | None]) -> list[Row]:
    return [
        {"step": step, "model": "run", "suite": "chain", "budget": None, "gain_per_doubling": value}
        for step, value in values.items()
    ]


def test_a_metric_is_read_from_the_row_that_has_it() -> None:
    rows = [
        {"step": 2, "model": "run", "suite": "chain", "budget": 32, "accuracy": 0.4},
        {"step": 2, "model": "run", "suite": "chain", "budget": 16, "accuracy": 0.2},
        {"step": 2, "model": "run", "suite": "chain", "budget": None, "accuracy": 0.9},
        {"step": 0, "model": "pruned", "suite": "chain", "budget": 32, "accuracy": 0.1},
        {"step": 2, "model": "run", "suite": "shallow", "budget": 32, "accuracy": 0.7},
    ]
    assert metric_values(rows, SweepMetric("chain", "accuracy")) == {2: 0.4}
    # rows of earlier versions called another number the level
    older = [*rows, {"step": 2, "model": "run", "suite": "chain", "budget": None, "level": 0.2}]
    assert metric_values(older, SweepMetric("chain", "level")) == {2: 0.4}
    assert metric_values(older, SweepMetric("chain", "base")) == {}


@pytest.mark.parametrize(
    ("values", "steps", "best"),
    [
        ({1: 0.1, 2: 0.3, 3: 0.2}, [1, 2, 3], (2, 0.3)),
        ({1: 0.1, 2: 0.3, 3: 0.3}, [1, 2, 3], (2, 0.3)),  # of equals the earlier
        ({1: 0.1, 2: 0.3}, [1], (1, 0.1)),  # step 2 has no checkpoint
        ({1: None}, [1], None),
        ({}, [1], None),
    ],
)
def test_the_best_step_by_hand(
    values: dict[int, float | None], steps: list[int], best: tuple[int, float] | None
) -> None:
    assert best_step(gains(values), GAIN, steps) == best
