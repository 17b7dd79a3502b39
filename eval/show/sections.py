"""The tables of the report, each from the rows of sweeps.jsonl or metrics.jsonl: text cells, ready to be printed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from eval.numbers.fractions import share_text
from eval.numbers.history import read_verdict
from eval.numbers.summary import Row, at_step, newest, steps, suites, totals
from eval.numbers.token_factors import factor_text
from eval.show.answers import answer_cell
from eval.show.tables import (
    THOUGHT_HEAD,
    budget_name,
    cell,
    gain_cell,
    judge_note,
    judged_cells,
    share,
    thought_cells,
    way_of_asking,
)

MODELS = {"unpruned": "unpruned", "pruned": "pruned", "run": "recovered"}
LOST = 0.02  # smaller differences between unpruned and pruned are not called a loss


@dataclass(frozen=True)
class Table:
    """Text cells; foot: lines that stay at the bottom when a reader sorts the others."""

    head: list[str]
    lines: list[list[str]]
    foot: list[list[str]] = field(default_factory=list)


def by_budget(rows: Sequence[Row], suite: str) -> Table:
    """One line per budget, one column per model: accuracy with its interval; below them the gain per doubling."""
    sweeps = {name: newest(rows, model, suite) for model, name in MODELS.items()}
    budgets = sorted({row["budget"] for at_budgets, _ in sweeps.values() for row in at_budgets})
    lines = [[budget_name(budget), *(_at(rows, budget) for rows, _ in sweeps.values())] for budget in budgets]
    gains = ["gain per doubling", *(gain_cell(summary) for _, summary in sweeps.values())]
    return Table(["thinking budget (tokens)", *sweeps], lines, [gains] if lines else [])


def confirmed(rows: Sequence[Row]) -> Table:
    """`by_budget` of the rows of a confirmation; no lines without."""
    return by_budget(rows, str(rows[-1]["suite"])) if rows else Table([], [])


def _at(at_budgets: Sequence[Row], budget: int) -> str:
    return next((cell(row) for row in at_budgets if row["budget"] == budget), "not measured")


def other_suites(rows: Sequence[Row], suite: str) -> Table:
    """One line per suite: how it is answered, chance level, accuracy at the largest budget of each model."""
    lines = []
    for name in (name for name in suites(rows) if name != suite):
        sweeps = [newest(rows, model, name)[0] for model in MODELS]
        last = max((at_budgets[-1] for at_budgets in sweeps if at_budgets), key=lambda row: row["budget"])
        guess = share(last["chance"]) if last.get("chance") else "-"
        lines.append([name, way_of_asking(last), guess, *(_at(at_budgets, last["budget"]) for at_budgets in sweeps)])
    return Table(["suite", "asked", "chance", *MODELS.values()], lines)


def recovered(rows: Sequence[Row], suite: str) -> Table:
    """The recovered fraction at each budget, with its interval."""
    summary = newest(rows, "run", suite)[1] or {}
    fractions = summary.get("recovered_fraction") or []
    lines = [[budget_name(fraction["budget"]), _fraction(fraction)] for fraction in fractions]
    return Table(["thinking budget (tokens)", "(recovered - pruned) / (unpruned - pruned)"], lines)


def _fraction(fraction: Row) -> str:
    if fraction["fraction"] is None:
        return "undefined: the pruned model is not measurably worse here"
    return share_text(fraction)


def kept(rows: Sequence[Row], suite: str) -> Table:
    """The shares that the verdict is based on: of the lost level, and of the unpruned gain; no lines without."""
    summary = newest(rows, "run", suite)[1] or {}
    names = {
        "level_share": "level: (recovered - pruned) / (unpruned - pruned) at the largest budget",
        "gain_share": "gain per doubling: recovered / unpruned",
    }
    undefined = {
        "level_share": "undefined: the pruned model is not measurably worse here",
        "gain_share": "undefined: the unpruned model does not measurably gain here",
    }
    shares = {key: summary[key] for key in names if summary.get(key)}
    lines = [
        [names[key], undefined[key] if row["fraction"] is None else share_text(row)] for key, row in shares.items()
    ]
    return Table(["share", "recovered share"], lines)


def token_factors(rows: Sequence[Row], suite: str) -> Table:
    """The tokens that the recovered model needs for the unpruned accuracy at each budget, as a multiple."""
    at_budgets, summary = newest(rows, "unpruned", suite)[0], newest(rows, "run", suite)[1] or {}
    accuracies = {row["budget"]: row["accuracy"] for row in at_budgets}
    lines = [
        [
            budget_name(row["budget"]),
            f"{accuracies[row['budget']]:.2f}" if row["budget"] in accuracies else "-",
            factor_text(row),
        ]
        for row in summary.get("token_factor") or []
    ]
    return Table(["budget of the unpruned model (tokens)", "its accuracy", "times its tokens"], lines)


def by_step(rows: Sequence[Row], suite: str) -> Table:
    """Step by step: base and level (accuracy at the smallest and the largest budget), gain, termination, looping.

    The references come first.
    """
    lines = []
    for model, title in MODELS.items():
        for step in steps(rows, model, suite):
            at_budgets, summary = at_step(rows, model, suite, step)
            if summary and at_budgets:
                name = f"step {step}" if model == "run" else title
                lines.append(
                    [
                        name,
                        "-" if summary["base"] is None else f"{summary['base']:.2f}",
                        cell(at_budgets[-1]),
                        gain_cell(summary),
                        "-" if summary["termination"] is None else f"{summary['termination']:.2f}",
                        f"{at_budgets[-1]['looping']:.2f}",
                        read_verdict(summary) or "-",
                    ]
                )
    return Table(["model", "base", "level", "gain per doubling", "termination", "looping", "verdict"], lines)


@dataclass(frozen=True)
class HalfBack:
    """One number of a suite before training, for both references; step: the first with half of the loss recovered, None
    if there is none yet; lost: whether the loss is large enough to report."""

    name: str
    pruned: float
    unpruned: float
    step: int | None
    lost: bool


def half_back(rows: Sequence[Row], suite: str) -> list[HalfBack]:
    """For termination, gain, base and level: the first step with half of the loss recovered."""
    sweeps = [(step, _values(*at_step(rows, "run", suite, step))) for step in steps(rows, "run", suite)]
    unpruned, pruned = (_values(*newest(rows, model, suite)) for model in ("unpruned", "pruned"))
    found = []
    for name in unpruned:
        if name in pruned:
            loss = unpruned[name] - pruned[name]
            first = next((step for step, values in sweeps if values.get(name, -1.0) >= pruned[name] + loss / 2), None)
            found.append(HalfBack(name, pruned[name], unpruned[name], first, loss > LOST))
    return found


def half_recovered(rows: Sequence[Row], suite: str) -> Table:
    """`half_back` as a table."""
    lines = []
    for each in half_back(rows, suite):
        when = "not yet" if each.step is None else f"step {each.step}"
        numbers = [f"{each.pruned:.2f}", f"{each.unpruned:.2f}"]
        lines.append([each.name, *numbers, when if each.lost else "was not lost"])
    return Table(["number", "pruned", "unpruned", "half of the loss recovered at"], lines)


def _values(at_budgets: Sequence[Row], summary: Row | None) -> dict[str, float]:
    if summary is None or not at_budgets:
        return {}
    values = {
        "termination": summary["termination"],
        "gain per doubling": summary["gain_per_doubling"],
        "base": summary["base"],
        "level": summary["level"],
    }
    return {name: value for name, value in values.items() if value is not None}


def endings(rows: Sequence[Row], suite: str) -> Table:
    """How thoughts end, by model and budget: tokens spent; shares terminated, looping, answer truncated; and the
    tokens of an answer."""
    lines = [
        [
            name,
            budget_name(row["budget"]),
            f"{row['tokens_spent']:.0f}",
            f"{row['closed']:.2f}",
            f"{row['looping']:.2f}",
            f"{row['cut']:.2f}",
            answer_cell(row),
        ]
        for model, name in MODELS.items()
        for row in newest(rows, model, suite)[0]
    ]
    head = ["model", "budget (tokens)", "tokens spent", "terminated", "looping", "answer truncated", "answer tokens"]
    return Table(head, lines)


def style(rows: Sequence[Row], suite: str) -> Table:
    """How the thoughts of each model and step end and are written (`eval.numbers.style`), and a judge's counts.

    A sweep without thoughts has no line.
    """
    lines = []
    for model, title in MODELS.items():
        for step in steps(rows, model, suite):
            at_budgets, summary = at_step(rows, model, suite, step)
            counted = (summary or {}).get("style")
            if summary and counted and counted["words"]:
                name = f"step {step}" if model == "run" else title
                lines.append([name, f"{counted['words']:.0f}", *thought_cells(summary, at_budgets[-1])])
                lines += _judged(name, counted.get("judged"))
    return Table(["model", "words", *THOUGHT_HEAD], lines)


def _judged(name: str, judged: Row | None) -> list[list[str]]:
    if not judged:
        return []
    note = f" ({judge_note(judged)})" if judged["missing"] else f" ({judged['judge']}, {judged['thoughts']} thoughts)"
    return [[f"{name}, judged{note}", "", *judged_cells(judged)]]


def parallel(rows: Sequence[Row], suite: str) -> Table:
    """pass@k and maj@k at the largest budget by model; no lines if there is one thought per problem."""
    summaries = {name: newest(rows, model, suite)[1] for model, name in MODELS.items()}
    sampled = {name: summary for name, summary in summaries.items() if summary and summary.get("pass_at_k")}
    lines = [
        [
            name,
            _by_k("pass", summary["pass_at_k"]),
            _by_k("maj", summary.get("maj_at_k") or []) or _bracketed(summary["maj_at_n"], summary, "maj_"),
            str(summary["samples"]),
        ]
        for name, summary in sampled.items()
    ]
    return Table(["model", "pass@k", "maj@k", "n"], lines)


def _by_k(name: str, curve: Sequence[Row]) -> str:
    return " · ".join(f"{name}@{at_k['k']} {_bracketed(at_k['value'], at_k, '')}" for at_k in curve)


def _bracketed(value: float, row: Row, of: str) -> str:
    """A number with its interval, or without it if the row has none (rows of older runs)."""
    low, high = row.get(f"{of}low"), row.get(f"{of}high")
    return f"{value:.2f}" if low is None or high is None else f"{value:.2f} [{low:.2f}, {high:.2f}]"


def training(metrics: Sequence[Row], record: dict[str, Any]) -> Table:
    """Steps, tokens, seconds, the share of time in sweeps and the sweeps skipped for it, first and last loss."""
    sums, losses = totals(metrics), [row["loss"] for row in metrics if row.get("loss") is not None]
    lines = [["last logged step", str(metrics[-1]["step"])]] if metrics and "step" in metrics[-1] else []
    lines += [["tokens trained on", f"{sums['tokens']:,.0f}"]] if "tokens" in sums else []
    lines += [["seconds of training", f"{sums['seconds']:,.0f}"]] if "seconds" in sums else []
    if sums.get("sweep_seconds") and "seconds" in sums:
        in_sweeps = sums["sweep_seconds"] / (sums["seconds"] + sums["sweep_seconds"])
        lines.append(["share of time in sweeps", f"{in_sweeps:.0%}"])
    if left := (record.get("sweeps_left_out") or {}).get("steps"):
        lines.append(
            [
                "sweeps left out",
                f"{len(left)} (steps {', '.join(map(str, left))}), which would have taken "
                f"more than {100 * record['sweeps_left_out']['max_share']:g} % of the time",
            ]
        )
    lines += [["loss, first to last", f"{losses[0]:.3f} to {losses[-1]:.3f}"]] if losses else []
    return Table(["", ""], lines)


def sweep_costs(rows: Sequence[Row], suite: str) -> Table:
    """Seconds of each sweep over all suites, and its peak memory on rank 0 without the weights; no lines if neither was
    measured."""
    lines = []
    for step in steps(rows, "run", suite):
        summary = at_step(rows, "run", suite, step)[1] or {}
        seconds, peak = summary.get("seconds"), summary.get("peak_memory_bytes")
        taken = "-" if seconds is None else f"{seconds:.1f}"
        lines.append([f"step {step}", taken, f"{peak / 1e9:.2f} GB" if peak else "-"])
    lines = lines if any(line[1:] != ["-", "-"] for line in lines) else []
    return Table(["sweep", "seconds", "peak memory without the weights"], lines)


def facts(record: Any) -> Table:
    """Key and value of a JSON object, nested values as compact JSON; no lines for anything else."""
    items = record.items() if isinstance(record, dict) else []
    return Table(["", ""], [[str(key), value if isinstance(value, str) else json.dumps(value)] for key, value in items])
