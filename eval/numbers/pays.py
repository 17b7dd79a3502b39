"""Does recovery pay? The recovered model's FLOPs for the accuracy that the unpruned model has at a budget.

A token costs about two FLOPs per parameter, so the cost for the same accuracy is the factor of tokens (`token_factors`,
of thought and answer together) times the share of parameters that remain. Recovery pays at a budget if this product is
shown to be below 1. Budgets at which the pruned model was not shown to be worse are left out: there pruning itself cost
nothing. Intervals hold for all budgets of a sweep together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from eval.numbers.fractions import recovered_fraction
from eval.numbers.gains import thinking_columns
from eval.numbers.retention import Paired
from eval.numbers.statistics import ERROR, Array, student_quantile
from eval.numbers.token_factors import token_factors

Row = dict[str, Any]


def cost_rows(models: Paired, run_tokens: Array, unpruned_tokens: Array) -> list[Row] | None:
    """Factors of tokens for the same accuracy, one row per budget above 0 at which the pruned model is shown to be
    worse; None with fewer than two problems. Tokens of thought and answer: [problems, budgets], used by their means."""
    columns = thinking_columns(models.budgets)
    if not columns or len(models.run) < 2:
        return None
    damaged = recovered_fraction(models.run, models.unpruned, models.pruned)
    means = [tokens.mean(axis=0)[columns] for tokens in (run_tokens, unpruned_tokens)]
    factors = token_factors(
        models.run[:, columns], models.unpruned[:, columns], means[0], means[1], ERROR / len(columns)
    )
    rows = zip(columns, factors, strict=True)
    return [{"budget": models.budgets[k]} | asdict(each) for k, each in rows if damaged[k] is not None]


def inflation_row(run_tokens: Array, unpruned_tokens: Array) -> Row | None:
    """Tokens of the run over those of the unpruned model, both [problems] and paired: the ratio of the means, with the
    95 % Student interval of its linearised error; None for fewer than two problems, or if nothing was written."""
    problems = len(run_tokens)
    if problems < 2 or not unpruned_tokens.any():
        return None
    ratio = float(run_tokens.mean() / unpruned_tokens.mean())
    error = float(np.std(run_tokens - ratio * unpruned_tokens, ddof=1) / unpruned_tokens.mean() / math.sqrt(problems))
    reach = student_quantile(problems - 1) * error
    return {"fraction": ratio, "low": ratio - reach, "high": ratio + reach}


def costs(rows: Sequence[Mapping[str, Any]], share: float) -> list[Row]:
    """The rows as FLOPs; `share`: the share of the unpruned model's parameters that remain."""
    return [
        {**row, **{key: None if row[key] is None else row[key] * share for key in ("factor", "low", "high")}}
        for row in rows
    ]


def pays_line(
    rows: Sequence[Mapping[str, Any]] | None,
    inflation: Mapping[str, Any] | None,
    share: float,
    seconds_share: float | None = None,
) -> str:
    """The answer in a sentence; "" if there is nothing to compare. It is decided in FLOPs, which do not depend on the
    machine; `seconds_share` (seconds per token over those of the unpruned model) expresses it in seconds, if both were
    timed."""
    if rows is None:
        return ""
    priced = costs(rows, share)
    if not priced:
        return "Does it pay: the pruned model is not shown to be worse at any budget, so it pays without recovery"
    paying = [row for row in priced if row["high"] is not None and row["high"] < 1]
    rest = _in_seconds(rows, {row["budget"] for row in paying}, seconds_share) + _longer(inflation)
    if paying:
        return f"Does it pay: yes, for the unpruned model's accuracy it takes of its FLOPs {_at_budgets(paying)}{rest}"
    if all(row["low"] is not None and row["low"] > 1 for row in priced):
        return f"Does it pay: no, at every budget the unpruned model's accuracy takes more FLOPs than its own{rest}"
    return f"Does it pay: not shown at any budget{rest}"


def _in_seconds(rows: Sequence[Mapping[str, Any]], paying: set[int], share: float | None) -> str:
    """The time per token, and at the budgets that pay the time for the accuracy; "" if nothing was timed."""
    if share is None:
        return ""
    priced = [row for row in costs(rows, share) if row["budget"] in paying]
    so = f", so of its seconds {_at_budgets(priced)}" if priced else ""
    return f"; a token took {share:.2f} times the unpruned model's seconds here{so}"


def _at_budgets(rows: Sequence[Mapping[str, Any]]) -> str:
    return "; ".join(f"at {row['budget']} tokens {_cost(row)}" for row in rows)


def _cost(row: Mapping[str, Any]) -> str:
    return f"{'at most ' if row['at_most'] else ''}{row['factor']:.2f} (below {row['high']:.2f})"


def _longer(inflation: Mapping[str, Any] | None) -> str:
    if inflation is None:
        return ""
    interval = f"[{inflation['low']:.2f}, {inflation['high']:.2f}]"
    return f"; it writes {inflation['fraction']:.2f} {interval} times the unpruned model's tokens"
