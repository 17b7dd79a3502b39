"""The horizontal distance of two curves: how many times as many tokens one model needs for the other's accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from eval.numbers.contrasts import bounds
from eval.numbers.gains import thinking_columns
from eval.numbers.retention import Paired
from eval.numbers.statistics import ERROR, Array

PARTS = 64  # between two budgets; the ends of an interval are found to one part


@dataclass(frozen=True)
class TokenFactor:
    """The run's tokens as a multiple of the unpruned model's, for the unpruned accuracy at one budget.

    factor: None if the run does not reach it at its largest budget; at_most: the run reaches it at its smallest
    budget already, so that `factor` is an upper bound. low, high: None if the curve sets no bound on that side.
    """

    factor: float | None
    low: float | None
    high: float | None
    at_most: bool = False


def token_factors(
    run: Array, unpruned: Array, run_tokens: Sequence[float], unpruned_tokens: Sequence[float], error: float = ERROR
) -> list[TokenFactor]:
    """The factor at each budget; both models [problems, budgets] by the same problems, budgets above 0, and the tokens
    that they use there (the budgets themselves, or the measured means), which are treated as known.

    The run's curve is linear in log2(tokens) between budgets; the first point at which it reaches the unpruned accuracy
    counts. The interval holds all numbers of tokens at which the paired difference of the two accuracies is not shown
    to be below 0 (on the left) or above it: a test inverted, as Fieller's is, with the interval of
    `eval.numbers.contrasts`.
    """
    budgets = len(run_tokens)
    at = np.linspace(0, budgets - 1, (budgets - 1) * PARTS + 1)
    weights = np.array([np.interp(at, range(budgets), row) for row in np.eye(budgets)])  # [budgets, points]
    logs = np.log2(np.maximum(np.asarray(run_tokens, dtype=np.float64), 1))
    tokens = 2 ** (logs @ weights)
    curve = run @ weights  # [problems, points]
    factors = []
    for k, spent in enumerate(np.maximum(np.asarray(unpruned_tokens, dtype=np.float64), 1)):
        low, high = bounds(curve - unpruned[:, [k]], 1.0, error)
        reached = _first_reach(run.mean(axis=0), float(unpruned[:, k].mean()))
        not_below, above = np.flatnonzero(high >= 0), np.flatnonzero(low > 0)
        factors.append(
            TokenFactor(
                factor=None if reached is None else float(2 ** np.interp(reached, range(budgets), logs) / spent),
                low=float(tokens[not_below[0]] / spent) if len(not_below) and not_below[0] > 0 else None,
                high=float(tokens[above[0]] / spent) if len(above) else None,
                at_most=reached == 0,
            )
        )
    return factors


def _first_reach(accuracy: Array, target: float) -> float | None:
    """The position along the budgets, counted from 0, at which a curve first reaches `target`; None if it never
    does."""
    high = np.flatnonzero(accuracy >= target)
    if not len(high):
        return None
    k = int(high[0])
    return 0.0 if k == 0 else k - 1 + float((target - accuracy[k - 1]) / (accuracy[k] - accuracy[k - 1]))


def token_factor_rows(
    models: Paired, run_tokens: Sequence[float], unpruned_tokens: Sequence[float]
) -> list[dict[str, Any]] | None:
    """The factors for JSON, one row per budget above 0 of `models.budgets`, whose tokens are given too; None if no
    budget allows thinking, or with fewer than two problems."""
    columns = thinking_columns(models.budgets)
    if not columns or len(models.run) < 2:
        return None
    tokens = [[each[k] for k in columns] for each in (run_tokens, unpruned_tokens)]
    factors = token_factors(models.run[:, columns], models.unpruned[:, columns], tokens[0], tokens[1])
    return [{"budget": models.budgets[k]} | asdict(factor) for k, factor in zip(columns, factors, strict=True)]


def factor_text(row: Mapping[str, Any]) -> str:
    """`1.8 [1.2, 3.1]`, `at most 0.1`, or that the accuracy is not reached; `..` for an unbounded end."""
    low, high = (".." if row[end] is None else f"{row[end]:.2g}" for end in ("low", "high"))
    if row["factor"] is None:
        return "not reached" + ("" if row["low"] is None else f", more than {low}")
    return f"{'at most ' if row['at_most'] else ''}{row['factor']:.2g} [{low}, {high}]"
