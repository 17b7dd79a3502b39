"""The verdict on graded thoughts from any tool, given as a JSON Lines file.

Its rows are {problem, sample, budget, correct[, model][, group]}.

The command is `python -m eval.verdict FILE.jsonl [--json]`; this file reads the rows, judges them and prints the
result.

Problems may have different numbers of samples (a missing thought has no row): a problem counts by the mean of its
samples, and the number of missing ones is printed. A sample must have a row at every budget, since budgets are compared
on the same thoughts. Budget 0 is thinking off, a control that does not enter gain and verdict.

Logs of lm-evaluation-harness, Inspect and lighteval can replace the file: `MODEL@BUDGET=LOG …` (`eval.logs`).

`group` names what problems have in common (a subject, a contest's year, a template): all intervals are then clustered
by group. Either all rows have one, the same for all rows of a problem, or none has.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from pydantic import ValidationError

from data_prep.traces.rows import jsonl_rows
from eval.given_votes import add_majority
from eval.logs.read import FORM, complete_rows, named_log
from eval.numbers import gains
from eval.numbers.decide import Verdict, decide, verdict_line
from eval.numbers.fractions import share_row
from eval.numbers.groups import clustered, groups_of
from eval.numbers.parallel import pass_rows
from eval.numbers.retention import Paired
from eval.numbers.sequences import RUN_ERROR
from eval.numbers.statistics import Array, accuracy_interval
from eval.numbers.summary import Groups
from eval.numbers.token_factors import factor_text, token_factor_rows
from recipes.command import run, split
from recipes.errors import UserError
from recipes.given_up import GIVEN_UP
from recipes.sweep import VerdictSection

MODELS = ("unpruned", "pruned", "run")
ROW_FORM = '{"problem", "sample", "budget", "correct"[, "model"][, "group"]}'

Grades = dict[str, dict[int, dict[int, bool]]]  # problem -> budget, increasing -> sample -> correct


def _row(row: Any, place: str) -> tuple[str, str, int, int, bool]:
    """(model, problem, sample, budget, correct) of one row; raises UserError with the line for an invalid row."""
    if isinstance(row, ValueError):
        raise UserError(f"{place}: {row}; a line is one object {ROW_FORM}")
    missing = [key for key in ("problem", "sample", "budget", "correct") if not isinstance(row, dict) or key not in row]
    if missing:
        raise UserError(f"{place}: no {', '.join(missing)}; a line is one object {ROW_FORM}")
    model, problem, sample, budget, correct = (
        row.get(key) for key in ("model", "problem", "sample", "budget", "correct")
    )
    if model not in (None, *MODELS):
        raise UserError(f"{place}: model={model!r}, allowed are {', '.join(MODELS)} (without the key: run)")
    if not isinstance(problem, str | int) or type(sample) is not int or type(budget) is not int or budget < 0:
        raise UserError(
            f"{place}: problem={problem!r} must be a name, sample={sample!r} and budget={budget!r} whole "
            "numbers (budget 0: thinking off)"
        )
    if correct not in (True, False):
        raise UserError(f"{place}: correct={correct!r}, allowed are true and false")
    return model or "run", str(problem), sample, budget, bool(correct)


def _add_group(groups: dict[str, str | None], row: dict[str, Any], problem: str, place: str) -> None:
    """Records the group of a row that `_row` has read; raises UserError if it differs from an earlier row's."""
    group = row.get("group")
    if not isinstance(group, str | int | None) or isinstance(group, bool):
        raise UserError(f"{place}: group={group!r} must be a name")
    group = None if group is None else str(group)
    if groups.setdefault(problem, group) != group:
        raise UserError(f"{place}: problem {problem!r} has group {group!r} here and {groups[problem]!r} before")
    if (group is None) != (next(iter(groups.values())) is None):
        raise UserError(f"{place}: some rows have a group and some have none; give one to all problems or to none")


def read_models(path: Path) -> tuple[dict[str, Grades], dict[str, str] | None]:
    """The grades by model, problem and budget of a JSON Lines file of graded thoughts, and the group of each problem
    (None if the rows have none).

    Raises UserError (file:line) for an invalid or repeated row, or if a sample lacks a budget.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; give a JSON Lines file of rows {ROW_FORM}")
    grades, groups = graded(jsonl_rows(path, "eval.verdict"))
    if not grades:
        raise UserError(f"{path}: no rows; a line is one object {ROW_FORM}")
    return in_order(grades, str(path)), groups


def graded(rows: Iterable[tuple[str, Any]]) -> tuple[dict[str, Grades], dict[str, str] | None]:
    """The grades and groups of (place, row), in the order of the rows. Raises UserError (with the place) for an invalid
    or repeated row."""
    grades: dict[str, Grades] = {}
    groups: dict[str, str | None] = {}
    for place, row in rows:
        model, problem, sample, budget, correct = _row(row, place)
        _add_group(groups, row, problem, place)
        at_budget = grades.setdefault(model, {}).setdefault(problem, {}).setdefault(budget, {})
        if sample in at_budget:
            raise UserError(
                f"{place}: problem {problem!r}, sample {sample}, budget {budget} of model {model} is given twice"
            )
        at_budget[sample] = correct
    named = {problem: group for problem, group in groups.items() if group is not None}
    return grades, named or None


def in_order(grades: dict[str, Grades], whose: str) -> dict[str, Grades]:
    """The same with budgets increasing. Raises UserError if a sample lacks one of the budgets."""
    budgets = sorted({budget for model in grades.values() for problem in model.values() for budget in problem})
    for model, problems in grades.items():
        for problem, by_budget in problems.items():
            _complete(by_budget, budgets, f"{whose}: problem {problem!r} of model {model}")
    return {
        model: {problem: dict(sorted(by_budget.items())) for problem, by_budget in problems.items()}
        for model, problems in grades.items()
    }


def _complete(by_budget: dict[int, dict[int, bool]], budgets: Sequence[int], whose: str) -> None:
    samples = set().union(*by_budget.values())
    for budget in budgets:
        lacking = sorted(samples - by_budget.get(budget, {}).keys())
        if lacking:
            raise UserError(
                f"{whose}: sample {lacking[0]} has no row at budget {budget}; a sample needs one at each of {budgets}, "
                "or none at all if its thought is missing"
            )


def _means(grades: Grades, problems: Sequence[str]) -> Array:
    """The share of correct thoughts, [problems, budgets], among those that each problem has."""
    return np.array([[fmean(samples.values()) for samples in grades[problem].values()] for problem in problems])


def judge(models: dict[str, Grades], section: VerdictSection, groups: Groups | None = None) -> dict[str, Any]:
    """Base, level, gain and intervals of every model, and the verdict if unpruned, pruned and run are all present;
    JSON-safe. The gain of a run with a verdict is the verdict's, on the paired problems. `groups`: the group of each
    problem, by which intervals are clustered."""
    budgets = list(next(iter(next(iter(models.values())).values())))
    described = {name: describe(grades, budgets, groups) for name, grades in models.items()}
    if set(models) != set(MODELS):
        return {"models": described, "paired": None, "verdict": None, "token_factor": None}
    paired = [problem for problem in models["run"] if problem in models["unpruned"] and problem in models["pruned"]]
    if not paired:
        raise UserError("the models unpruned, pruned and run share no problem; a verdict is paired by problem")
    run, unpruned, pruned = (_means(models[name], paired) for name in ("run", "unpruned", "pruned"))
    means = Paired(run, unpruned, pruned, budgets).grouped(groups_of(paired, groups))
    verdict = decide(means, section)
    if verdict.gain is not None:
        described["run"] |= gains.gain_row(means.run, budgets, verdict.error)
    return {
        "models": described,
        "paired": len(paired),
        "verdict": _verdict_keys(verdict),
        "token_factor": token_factor_rows(means, budgets, budgets),
    }


def _verdict_keys(verdict: Verdict) -> dict[str, Any]:
    """The verdict for JSON; an unbounded end of an interval is None."""
    gain = asdict(verdict.gain) if verdict.gain else {}
    shares = {name: share_row(getattr(verdict, name)) for name in ("level_share", "gain_share")}
    numbers = {"gain": gain.get("estimate"), "gain_low": gain.get("low"), "gain_high": gain.get("high")}
    return asdict(verdict) | numbers | shares | {"line": verdict_line(verdict)}


def describe(grades: Grades, budgets: Sequence[int], groups: Groups | None = None) -> dict[str, Any]:
    """Accuracy by budget, base, level, gain, pass@k and intervals of one model; JSON-safe (None if undefined).

    samples: of the problem that has most; missing: the total number by which other problems have fewer. pass_at_k: at
    the largest budget, None with one thought per problem.
    """
    means = clustered(_means(grades, list(grades)), list(grades), groups)
    thoughts = {problem: list(by_budget[budgets[-1]].values()) for problem, by_budget in grades.items()}
    samples = max(map(len, thoughts.values()))
    at_budgets = [(float(means[:, k].mean()), *accuracy_interval(means[:, k])) for k in range(len(budgets))]
    return {
        "problems": len(grades),
        "groups": len(means) if groups else None,
        "samples": samples,
        "missing": sum(samples - len(group) for group in thoughts.values()),
        "accuracy": [
            {"budget": b, "accuracy": p, "low": low, "high": high}
            for b, (p, low, high) in zip(budgets, at_budgets, strict=True)
        ],
        "level": gains.level(means.mean(axis=0), budgets),
        "base": gains.base(means.mean(axis=0), budgets),
        **gains.gain_row(means, budgets, RUN_ERROR),
        "pass_at_k": pass_rows(thoughts, groups) if samples > 1 else None,
    }


def _head(name: str, numbers: dict[str, Any]) -> str:
    missing = f", {numbers['missing']} thoughts missing" if numbers["missing"] else ""
    level = "not defined" if numbers["level"] is None else f"{numbers['level']:.2f}"
    gain = "gain not defined"
    if numbers["gain_per_doubling"] is not None:
        interval = f"[{numbers['gain_low']:+.2f}, {numbers['gain_high']:+.2f}]"
        gain = f"gain {numbers['gain_per_doubling']:+.2f} {interval} per doubling"
    groups = f" in {numbers['groups']} groups" if numbers["groups"] else ""
    return f"{name}: {numbers['problems']} problems x {numbers['samples']}{groups}{missing}, level {level}, {gain}"


def _text(report: dict[str, Any]) -> str:
    lines = []
    for name, numbers in report["models"].items():
        lines.append(_head(name, numbers))
        lines += [f"  {_span(row['accuracy'], row)} at {row['budget']}" for row in numbers["accuracy"]]
        lines += [f"  {_span(row['value'], row)} pass@{row['k']}" for row in numbers["pass_at_k"] or []]
        lines += [f"  {_span(row['value'], row)} maj@{row['k']}" for row in numbers.get("maj_at_k") or []]
    if report["verdict"] is None:
        lacking = [name for name in MODELS if name not in report["models"]]
        lines.append(f"no verdict: it compares three models, and there are no rows of {', '.join(lacking)}")
    else:
        shared = f"{report['paired']} problems that all three models have"
        lines += [f"verdict on the {shared}:", report["verdict"]["line"], *report["verdict"]["reasons"]]
        lines += [
            f"tokens for the unpruned accuracy at {row['budget']}, in multiples of that budget: {factor_text(row)}"
            for row in report["token_factor"] or []
        ]
    return "\n".join(lines)


def _span(value: float, row: dict[str, Any]) -> str:
    return f"{value:.2f} [{row['low']:.2f}, {row['high']:.2f}]"


def read_arguments(paths: Sequence[str], metric: str | None) -> tuple[dict[str, Grades], dict[str, str] | None]:
    """The grades and groups of one JSON Lines file, or of logs of other tools given as MODEL@BUDGET=FILE.

    Raises UserError for anything else.
    """
    logs = [log for argument in paths if (log := named_log(argument))]
    if logs and len(logs) == len(paths):
        rows, lost = complete_rows(logs, metric)
        if lost:
            print(f"{lost} thoughts are left out, which some of these logs do not have", file=sys.stderr)
        grades, groups = graded(rows)
        if not grades:
            raise UserError(f"{', '.join(paths)}: no graded answers in these logs")
        return in_order(grades, "the logs"), groups
    if len(paths) != 1 or metric is not None:
        raise UserError(
            f"give one JSON Lines file, got {list(paths)}: python -m eval.verdict FILE.jsonl [--json] [delta=0.05 …]; "
            f"or logs of other tools, each as {FORM} with the name {', '.join(MODELS)} [metric=NAME]"
        )
    return read_models(Path(paths[0]))


def main(arguments: list[str]) -> None:
    """`python -m eval.verdict FILE.jsonl [--json] [returned_share=… not_returned_share=… delta=…]`, or with logs
    MODEL@BUDGET=FILE … [metric=NAME] instead of the file."""
    keys = {name: field.description or "" for name, field in VerdictSection.model_fields.items() if name != "suite"}
    metric_key = {"metric": "the metric of a log that says whether an answer is right; default: its first"}
    values, rest = split(arguments, keys | metric_key)
    metric = values.pop("metric", None)
    paths = [argument for argument in rest if argument != "--json"]
    for argument in paths:
        if said := GIVEN_UP.get(f"sweep.verdict.{argument.partition('=')[0]}"):
            raise UserError(f"{argument}: {said}")
    try:
        section = VerdictSection.model_validate(values)
    except ValidationError as error:
        raise UserError(
            "\n".join(
                f"{fault['loc'][0]}={fault['input']!r}: {fault['msg']}" if fault["loc"] else fault["msg"]
                for fault in error.errors()
            )
        ) from None
    models, groups = read_arguments(paths, metric)
    report = judge(models, section, groups)
    report = report if named_log(paths[0]) else add_majority(report, Path(paths[0]))
    print(json.dumps(report, indent=2) if "--json" in rest else _text(report))


if __name__ == "__main__":
    run(main)
