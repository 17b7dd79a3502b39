"""The rows of sweeps.jsonl from a suite's scores: one per budget, and one with budget null for the sweep's numbers.

Also the look-ups in these rows for tables, plots, the report and comparisons. Every value is JSON-safe: None, never
NaN.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from statistics import fmean
from typing import Any

import numpy as np

from eval.numbers.decide import Verdict, decide, verdict_line
from eval.numbers.fractions import recovered_fraction, share_row
from eval.numbers.gains import base, gain_row, level
from eval.numbers.groups import clustered, groups_of
from eval.numbers.majority import majority_rows
from eval.numbers.parallel import majority_at_n, pass_rows
from eval.numbers.pays import cost_rows, inflation_row
from eval.numbers.retention import Paired
from eval.numbers.sequences import RUN_ERROR
from eval.numbers.statistics import Array, accuracy_interval
from eval.numbers.token_factors import token_factor_rows
from eval.types import Score, SuiteSweep
from recipes.sweep import VerdictSection

Row = dict[str, Any]
Groups = Mapping[str, str]  # problem -> group

VERDICT_KEYS = (
    *("verdict", "verdict_line", "verdict_reasons", "verdict_at_least", "verdict_at_most"),
    *("level_share", "gain_share", "problems_needed", "verdict_error"),
)

NOT_COMPARED = dict.fromkeys(("recovered_fraction", "token_factor", "cost_factor", "token_inflation"))
"""a sweep's values if a reference is missing"""


def problem_ids(sweep: SuiteSweep) -> list[str]:
    """The sweep's problems in the order of their first score."""
    return list(dict.fromkeys(score.problem for score in sweep.scores))


def problem_means(sweep: SuiteSweep, ids: Sequence[str]) -> Array:
    """The share of correct thoughts, [problems, budgets], rows in the order of `ids`.

    Raises ValueError if one of `ids` has no score at a budget of the sweep.
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


def problem_tokens(sweep: SuiteSweep, ids: Sequence[str]) -> Array:
    """Tokens of thought and answer, [problems, budgets], means over the thoughts of a problem; rows as `ids`."""
    spent: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for score in sweep.scores:
        spent[score.problem, score.budget].append(score.thinking_tokens + score.answer_tokens)
    return np.array([[fmean(spent[problem, budget]) for budget in sweep.budgets] for problem in ids])


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

    `error` is the probability with which the verdict's intervals may miss: 0.05 if the sweep is judged alone,
    `sequences.sweep_error` if it is one of many sweeps of a run. If a sweep has a verdict, its gain and recovered
    fractions are the verdict's, including interval and problems; all other intervals are 95 % intervals of this sweep
    alone. The verdict is None on a suite that `section.suite` does not name. All intervals are clustered by the groups
    of the sweep's problems, if there are any. Raises ValueError for a sweep of another suite or other budgets, or if a
    problem lacks a score.
    """
    for other in (unpruned, pruned):
        if other is not None and (other.suite, other.budgets) != (sweep.suite, sweep.budgets):
            raise ValueError(f"cannot compare {sweep.suite} at {sweep.budgets} with {other.suite} at {other.budgets}")
    ids, groups = problem_ids(sweep), sweep.groups
    means = clustered(problem_means(sweep, ids), ids, groups)
    common = {"step": sweep.step, "model": sweep.model, "suite": sweep.suite}
    samples = _samples(sweep)
    counted: Row = {
        "problems": len(ids),
        "groups": len(means) if groups else None,
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
    of_sweep: Row = {
        "level": level(means.mean(axis=0), sweep.budgets),
        "base": base(means.mean(axis=0), sweep.budgets),
        **gain_row(means, sweep.budgets, RUN_ERROR),
        "termination": at_budgets[-1]["closed"] if sweep.budgets[-1] else None,
        "style": sweep.style,
    }
    compared = _compared(sweep, unpruned, pruned, section, error)
    of_sweep |= _majority(sweep, samples, groups) | _parallel(sweep, samples, groups)
    return [*at_budgets, common | {"budget": None} | counted | of_sweep | compared]


def _compared(
    sweep: SuiteSweep,
    unpruned: SuiteSweep | None,
    pruned: SuiteSweep | None,
    section: VerdictSection,
    error: float,
) -> Row:
    """The values of a sweep in comparison with the two references; a sweep with a verdict has the verdict's gain."""
    if unpruned is None or pruned is None:
        return verdict_row(None) | {"paired": None, **NOT_COMPARED}
    ids = paired_ids([sweep, unpruned, pruned])
    if not ids:
        return verdict_row(None) | {"paired": 0, **NOT_COMPARED}
    run, of_unpruned, of_pruned = (problem_means(each, ids) for each in (sweep, unpruned, pruned))
    models = Paired(run, of_unpruned, of_pruned, sweep.budgets).grouped(groups_of(ids, sweep.groups))
    verdict = decide(models, section, error) if section.suite in (None, sweep.suite) else None
    judged = verdict is not None and verdict.gain is not None
    fractions = recovered_fraction(models.run, models.unpruned, models.pruned, error if judged else RUN_ERROR)
    tokens = [[mean_tokens(each, ids, budget) for budget in sweep.budgets] for each in (sweep, unpruned)]
    spent = [problem_tokens(each, ids) for each in (sweep, unpruned)]
    return {
        **(gain_row(models.run, sweep.budgets, error) if judged else {}),
        **verdict_row(verdict),
        "paired": len(ids),
        "recovered_fraction": [
            {"budget": budget} | share_row(fraction) for budget, fraction in zip(sweep.budgets, fractions, strict=True)
        ],
        "token_factor": token_factor_rows(models, tokens[0], tokens[1]),
        "cost_factor": cost_rows(models, spent[0], spent[1]),
        "token_inflation": inflation_row(spent[0][:, -1], spent[1][:, -1]),
    }


def mean_tokens(sweep: SuiteSweep, problems: Sequence[str], budget: int) -> float:
    """The mean number of thinking tokens that a thought on `problems` uses within `budget`."""
    wanted = set(problems)
    return fmean(s.thinking_tokens for s in sweep.scores if s.budget == budget and s.problem in wanted)


def _samples(sweep: SuiteSweep) -> int:
    """Thoughts per problem; if some are missing, those of the problem that has most."""
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
    """Tokens and shares at one budget; if thoughts are missing, also the accuracy if all of them were wrong."""
    bound = {"accuracy_if_missing_wrong": sum(s.correct for s in scores) / (len(scores) + missing)} if missing else {}
    return bound | {
        "tokens_spent": fmean(score.thinking_tokens for score in scores),
        "answer_tokens": fmean(score.answer_tokens for score in scores),
        "total_tokens": fmean(score.thinking_tokens + score.answer_tokens for score in scores),
        "closed": fmean(score.closed for score in scores),
        "cut": fmean(score.cut for score in scores),
        "looping": fmean(score.looping for score in scores),
    }


def _parallel(sweep: SuiteSweep, samples: int, groups: Groups | None) -> Row:
    """pass@k and maj@n at the largest budget with their intervals; None for one thought per problem.

    maj@n is over the problems that have all n thoughts (`maj_problems`).
    """
    if samples < 2:
        return dict.fromkeys(("pass_at_k", "maj_at_n", "maj_low", "maj_high", "maj_problems"))
    thoughts: defaultdict[str, list[Score]] = defaultdict(list)
    for score in sweep.scores:
        if score.budget == sweep.budgets[-1]:
            thoughts[score.problem].append(score)
    complete = {problem: scores for problem, scores in thoughts.items() if len(scores) == samples}
    votes = np.array(
        [majority_at_n([s.candidate for s in scores], [s.correct for s in scores]) for scores in complete.values()]
    )
    low, high = accuracy_interval(clustered(votes, list(complete), groups))
    grades = {problem: [score.correct for score in scores] for problem, scores in thoughts.items()}
    return {
        "pass_at_k": pass_rows(grades, groups),
        "maj_at_n": float(votes.mean()),
        "maj_low": low,
        "maj_high": high,
        "maj_problems": len(complete),
    }


def _majority(sweep: SuiteSweep, samples: int, groups: Groups | None) -> Row:
    """maj@k at the largest budget; None for one thought per problem."""
    if samples < 2:
        return {"maj_at_k": None}
    votes: defaultdict[str, tuple[list[str], list[bool]]] = defaultdict(lambda: ([], []))
    for score in sweep.scores:
        if score.budget == sweep.budgets[-1]:
            votes[score.problem][0].append(score.candidate)
            votes[score.problem][1].append(score.correct)
    return {"maj_at_k": majority_rows(votes, groups)}


def verdict_row(verdict: Verdict | None) -> Row:
    """The keys of a verdict, all None without one."""
    if verdict is None:
        return dict.fromkeys(VERDICT_KEYS)
    needed = verdict.problem_range
    values = (
        verdict.word,
        verdict_line(verdict),
        list(verdict.reasons),
        verdict.at_least,
        verdict.at_most,
        share_row(verdict.level_share),
        share_row(verdict.gain_share),
        None if needed is None else asdict(needed),
        verdict.error,
    )
    return dict(zip(VERDICT_KEYS, values, strict=True))


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
    """(rows by increasing budget, the row with budget null) of one sweep; of two equal rows the later counts."""
    chosen = {row["budget"]: row for row in rows if (row["model"], row["suite"], row["step"]) == (model, suite, step)}
    summary = chosen.pop(None, None)
    at_budgets = [chosen[budget] for budget in sorted(chosen)]
    if summary and at_budgets and "base" not in summary:
        # Rows of earlier versions called the accuracy at the smallest budget the level.
        summary = summary | {"base": summary.get("level"), "level": at_budgets[-1]["accuracy"]}
    return at_budgets, summary


def newest(rows: Sequence[Row], model: str, suite: str) -> tuple[list[Row], Row | None]:
    """`at_step` of the latest step; ([], None) if this model was never swept on this suite."""
    swept = steps(rows, model, suite)
    return at_step(rows, model, suite, swept[-1]) if swept else ([], None)


def totals(metrics: Sequence[Row]) -> dict[str, float]:
    """Sums of tokens, seconds, sweep_seconds (those that were logged); a step logged twice counts once."""
    by_step = list({row.get("step", index): row for index, row in enumerate(metrics)}.values())
    keys = [key for key in ("tokens", "seconds", "sweep_seconds") if any(row.get(key) is not None for row in by_step)]
    return {key: float(sum(row.get(key) or 0 for row in by_step)) for key in keys}
