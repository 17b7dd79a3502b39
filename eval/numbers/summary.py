"""From a suite's scores to the rows of sweeps.jsonl: one per budget, and one with budget null that carries the sweep's
numbers.

Also how tables, plots, the report and the comparison find what they need among those rows. Every value is JSON-safe:
None, never NaN.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

import numpy as np

from eval.numbers.decide import Paired, Verdict, decide, verdict_line
from eval.numbers.fractions import recovered_fraction
from eval.numbers.gains import gain_row, level
from eval.numbers.majority import majority_rows
from eval.numbers.parallel import majority_at_n, pass_rows
from eval.numbers.sequences import RUN_ERROR
from eval.numbers.statistics import Array, accuracy_interval
from eval.types import Score, SuiteSweep
from recipes.sweep import VerdictSection

Row = dict[str, Any]


def problem_ids(sweep: SuiteSweep) -> list[str]:
    """The sweep's problems in the order of their first score."""
    return list(dict.fromkeys(score.problem for score in sweep.scores))


def problem_means(sweep: SuiteSweep, ids: Sequence[str]) -> Array:
    """Share of correct thoughts, [problems, budgets], rows in the order of `ids`.

    Raises ValueError where one of `ids` has no score at a budget of the sweep.
    """
    grades: defaultdict[tuple[str, int], list[bool]] = defaultdict(list)
    for score in sweep.scores:
        grades[score.problem, score.budget].append(score.correct)
    missing = [(problem, budget) for problem in ids for budget in sweep.budgets if (problem, budget) not in grades]
    if missing:
        raise ValueError(
            f"{sweep.model} on {sweep.suite}: no score for {len(missing)} (problem, budget), first {missing[0]}"
        )
    return np.array([[fmean(grades[problem, budget]) for budget in sweep.budgets] for problem in ids])


def paired_ids(sweeps: Sequence[SuiteSweep]) -> list[str]:
    """The problems that all `sweeps` have, in the order of the first one."""
    common = set.intersection(*(set(problem_ids(sweep)) for sweep in sweeps))
    return [problem for problem in problem_ids(sweeps[0]) if problem in common]


def sweep_rows(
    sweep: SuiteSweep,
    unpruned: SuiteSweep | None,
    pruned: SuiteSweep | None,
    section: VerdictSection,
    error: float = RUN_ERROR,
) -> list[Row]:
    """The rows of sweeps.jsonl for `sweep`; with both others (same suite, same budgets) also verdict and recovered
    fraction.

    `error` is the probability with which the verdict's intervals may miss: 0.05 where the sweep is judged alone,
    `sequences.sweep_error` where it is one of many sweeps of a run. The gain of a sweep that has a verdict is the
    verdict's, interval and problems too; all other intervals are 95 % ones of this sweep by itself. The verdict is left
    None on a suite that `section.suite` does not name. Raises ValueError for a sweep of another suite or other budgets,
    or where a problem lacks a score.
    """
    for other in (unpruned, pruned):
        if other is not None and (other.suite, other.budgets) != (sweep.suite, sweep.budgets):
            raise ValueError(f"cannot compare {sweep.suite} at {sweep.budgets} with {other.suite} at {other.budgets}")
    ids = problem_ids(sweep)
    means = problem_means(sweep, ids)
    samples = _samples(sweep)
    common = {"step": sweep.step, "model": sweep.model, "suite": sweep.suite}
    counted = {
        "problems": len(ids),
        "samples": samples,
        "missing": sweep.missing,
        "protocol": sweep.protocol,
        "method": sweep.method,
        "chance": sweep.chance,
    }
    at_budgets = [
        common
        | {"budget": budget}
        | _accuracy(means[:, k])
        | _spent([s for s in sweep.scores if s.budget == budget], sweep.missing)
        | counted
        for k, budget in enumerate(sweep.budgets)
    ]
    models = _paired(sweep, unpruned, pruned)
    decides = section.suite in (None, sweep.suite)
    verdict = decide(models, section, error) if decides and models is not None and len(models.run) else None
    if models is not None and verdict is not None and verdict.gain is not None:
        gain = gain_row(models.run, sweep.budgets, error)
    else:
        gain = gain_row(means, sweep.budgets, RUN_ERROR)
    of_sweep = {
        "level": level(means.mean(axis=0), sweep.budgets),
        **gain,
        "termination": at_budgets[-1]["closed"] if sweep.budgets[-1] else None,
        "style": sweep.style,
    }
    of_sweep |= _majority(sweep, samples)
    compared = _verdict_keys(verdict) | _recovered(models) | {"paired": None if models is None else len(models.run)}
    return [*at_budgets, common | {"budget": None} | counted | of_sweep | _parallel(sweep, samples) | compared]


def _samples(sweep: SuiteSweep) -> int:
    """Thoughts per problem; where some are missing, of the problem that has most."""
    if sweep.missing:
        return max(Counter(score.problem for score in sweep.scores if score.budget == sweep.budgets[0]).values())
    per_problem = len(sweep.scores) / (len(problem_ids(sweep)) * len(sweep.budgets))
    if per_problem != int(per_problem):
        raise ValueError(
            f"{sweep.model} on {sweep.suite}: {per_problem:.2f} samples per problem and budget, some scores are missing"
        )
    return int(per_problem)


def _accuracy(means: Array) -> Row:
    low, high = accuracy_interval(means)
    return {"accuracy": float(means.mean()), "low": low, "high": high}


def _spent(scores: Sequence[Score], missing: int) -> Row:
    """Tokens and shares at one budget; where thoughts are missing, also the accuracy if all of them were wrong."""
    bound = {"accuracy_if_missing_wrong": sum(s.correct for s in scores) / (len(scores) + missing)} if missing else {}
    return bound | {
        "tokens_spent": fmean(score.thinking_tokens for score in scores),
        "answer_tokens": fmean(score.answer_tokens for score in scores),
        "total_tokens": fmean(score.thinking_tokens + score.answer_tokens for score in scores),
        "closed": fmean(score.closed for score in scores),
        "cut": fmean(score.cut for score in scores),
        "looping": fmean(score.looping for score in scores),
    }


def _parallel(sweep: SuiteSweep, samples: int) -> Row:
    """pass@k and maj@n at the largest budget with their intervals; None for one thought per problem.

    maj@n is over the problems that have all n thoughts (`maj_problems`).
    """
    if samples < 2:
        return dict.fromkeys(("pass_at_k", "maj_at_n", "maj_low", "maj_high", "maj_problems"))
    thoughts: defaultdict[str, list[Score]] = defaultdict(list)
    for score in sweep.scores:
        if score.budget == sweep.budgets[-1]:
            thoughts[score.problem].append(score)
    complete = [group for group in thoughts.values() if len(group) == samples]
    votes = np.array([majority_at_n([s.candidate for s in group], [s.correct for s in group]) for group in complete])
    low, high = accuracy_interval(votes)
    return {
        "pass_at_k": pass_rows({problem: [score.correct for score in group] for problem, group in thoughts.items()}),
        "maj_at_n": float(votes.mean()),
        "maj_low": low,
        "maj_high": high,
        "maj_problems": len(complete),
    }


def _majority(sweep: SuiteSweep, samples: int) -> Row:
    """maj@k at the largest budget; None for one thought per problem."""
    if samples < 2:
        return {"maj_at_k": None}
    votes: defaultdict[str, tuple[list[str], list[bool]]] = defaultdict(lambda: ([], []))
    for score in sweep.scores:
        if score.budget == sweep.budgets[-1]:
            votes[score.problem][0].append(score.candidate)
            votes[score.problem][1].append(score.correct)
    return {"maj_at_k": majority_rows(votes)}


def _paired(sweep: SuiteSweep, unpruned: SuiteSweep | None, pruned: SuiteSweep | None) -> Paired | None:
    """The three models on the problems that all of them have, maybe none; None without both references."""
    if unpruned is None or pruned is None:
        return None
    ids = paired_ids([sweep, unpruned, pruned])
    shape = len(ids), len(sweep.budgets)  # of no problems too
    run, of_unpruned, of_pruned = (problem_means(each, ids).reshape(shape) for each in (sweep, unpruned, pruned))
    return Paired(run, of_unpruned, of_pruned, sweep.budgets)


def _recovered(models: Paired | None) -> Row:
    if models is None or not len(models.run):
        return {"recovered_fraction": None}
    fractions = recovered_fraction(models.run, models.unpruned, models.pruned)
    return {
        "recovered_fraction": [
            {
                "budget": budget,
                "fraction": fraction.estimate if fraction else None,
                "low": fraction.low if fraction else None,
                "high": fraction.high if fraction else None,
            }
            for budget, fraction in zip(models.budgets, fractions, strict=True)
        ]
    }


def _verdict_keys(verdict: Verdict | None) -> Row:
    if verdict is None:
        return dict.fromkeys(("verdict", "verdict_line", "verdict_reasons", "problems_needed", "verdict_error"))
    return {
        "verdict": verdict.word,
        "verdict_line": verdict_line(verdict),
        "verdict_reasons": list(verdict.reasons),
        "problems_needed": verdict.problems_needed,
        "verdict_error": verdict.error,
    }


def suites(rows: Iterable[Row]) -> list[str]:
    """Suite names in order of appearance."""
    return list(dict.fromkeys(row["suite"] for row in rows))


def verdict_suite(rows: Sequence[Row]) -> str:
    """The suite that has a verdict; without one, the last suite that appears. `rows` must not be empty."""
    judged = [row["suite"] for row in rows if row["budget"] is None and row.get("verdict")]
    return str(judged[-1] if judged else rows[-1]["suite"])


def steps(rows: Iterable[Row], model: str, suite: str) -> list[int]:
    """Training steps at which `model` was swept on `suite`, increasing."""
    return sorted({row["step"] for row in rows if row["model"] == model and row["suite"] == suite})


def at_step(rows: Iterable[Row], model: str, suite: str, step: int) -> tuple[list[Row], Row | None]:
    """(rows by increasing budget, the row with budget null) of one sweep; the later of two equal rows counts."""
    chosen = {row["budget"]: row for row in rows if (row["model"], row["suite"], row["step"]) == (model, suite, step)}
    summary = chosen.pop(None, None)
    return [chosen[budget] for budget in sorted(chosen)], summary


def newest(rows: Sequence[Row], model: str, suite: str) -> tuple[list[Row], Row | None]:
    """`at_step` of the latest step; ([], None) where this model was never swept on this suite."""
    swept = steps(rows, model, suite)
    return at_step(rows, model, suite, swept[-1]) if swept else ([], None)


def totals(metrics: Sequence[Row]) -> dict[str, float]:
    """Sums of tokens, seconds, sweep_seconds (those that were logged); a step logged twice counts once."""
    by_step = list({row.get("step", index): row for index, row in enumerate(metrics)}.values())
    keys = [key for key in ("tokens", "seconds", "sweep_seconds") if any(row.get(key) is not None for row in by_step)]
    return {key: float(sum(row.get(key) or 0 for row in by_step)) for key in keys}
