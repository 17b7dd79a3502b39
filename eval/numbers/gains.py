"""The benefit of thinking longer over the budgets of one sweep: base, level, total gain and gain per doubling.

A budget of 0 is thinking off, a control: it has an accuracy like any other budget, but does not enter these numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from eval.numbers.contrasts import contrast
from eval.numbers.statistics import Array


def thinking_columns(budgets: Sequence[int]) -> list[int]:
    """The columns whose budget lets the model think: all but that of budget 0."""
    return [column for column, budget in enumerate(budgets) if budget > 0]


def slope_weights(budgets: Sequence[int]) -> Array:
    """Weights [budgets] whose product with accuracies [budgets] is their least-squares slope on log2(budget).

    A budget of 0 has weight 0. All nan for fewer than two budgets above 0: no slope is defined.
    """
    columns = thinking_columns(budgets)
    weights = np.full(len(budgets), np.nan)
    if len(columns) > 1:
        x = np.log2(np.asarray(budgets, dtype=np.float64)[columns])
        weights[:] = 0.0
        weights[columns] = (x - x.mean()) / float(np.sum((x - x.mean()) ** 2))
    return weights


def slope_scale(budgets: Sequence[int]) -> float:
    """The steepest gain per doubling that one problem can show: wrong at small budgets, right at large ones."""
    weights = slope_weights(budgets)
    return float(weights[weights > 0].sum())


def gain_per_doubling(accuracy: Array, budgets: Sequence[int]) -> Array:
    """Least-squares slope of `accuracy` [..., budgets] on log2(budget), [...], in accuracy per doubling.

    Uses budgets above 0; nan if there are fewer than two.
    """
    return np.asarray(accuracy @ slope_weights(budgets), dtype=np.float64)


def total_gain(accuracy: Array, budgets: Sequence[int]) -> Array:
    """Accuracy at the largest budget minus accuracy at the smallest above 0, [...], of `accuracy` [..., budgets]."""
    return np.asarray(accuracy[..., -1] - accuracy[..., thinking_columns(budgets)[0]], dtype=np.float64)


def level(accuracy: Array, budgets: Sequence[int]) -> float | None:
    """Accuracy at the largest budget, of `accuracy` [budgets]; None if no budget is above 0."""
    return float(accuracy[-1]) if thinking_columns(budgets) else None


def base(accuracy: Array, budgets: Sequence[int]) -> float | None:
    """Accuracy at the smallest budget above 0, of `accuracy` [budgets]; None if there is none."""
    columns = thinking_columns(budgets)
    return float(accuracy[columns[0]]) if columns else None


def gain_row(means: Array, budgets: Sequence[int], error: float) -> dict[str, Any]:
    """Gain per doubling and total gain of `means` [problems, budgets], each with the interval that misses with
    probability `error`; JSON-safe: None for fewer than two budgets above 0 (no gain) or one problem (no interval)."""
    if len(thinking_columns(budgets)) < 2 or len(means) < 2:
        return dict.fromkeys(("gain_per_doubling", "gain_low", "gain_high", "total_gain", "total_low", "total_high"))
    gain = contrast(gain_per_doubling(means, budgets), slope_scale(budgets), error)
    total = contrast(total_gain(means, budgets), 1.0, error)
    return {
        "gain_per_doubling": gain.estimate,
        "gain_low": gain.low,
        "gain_high": gain.high,
        "total_gain": total.estimate,
        "total_low": total.low,
        "total_high": total.high,
    }
