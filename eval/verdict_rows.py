"""The verdict on graded thoughts from any tool: a JSON Lines file of rows {problem, sample, budget, correct[, model]}.

The command is `python -m eval.verdict FILE.jsonl [--json]`; this file reads its rows, judges them and prints the
result.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from eval.statistics import Array, accuracy_interval, gain_interval
from eval.verdict import decide, verdict_line
from recipes.command import split
from recipes.errors import UserError
from recipes.sweeps import VerdictSection

MODELS = ("unpruned", "pruned", "run")
ROW_FORM = '{"problem", "sample", "budget", "correct"[, "model"]}'

Means = dict[str, dict[int, float]]  # problem -> budget -> share of correct thoughts


def _row(text: str, place: str) -> tuple[str, str, int, int, bool]:
    """(model, problem, sample, budget, correct) of one line, or a UserError that names the line."""
    try:
        row = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{place}: not JSON ({error.msg}); a line is one object {ROW_FORM}") from None
    missing = [key for key in ("problem", "sample", "budget", "correct") if not isinstance(row, dict) or key not in row]
    if missing:
        raise UserError(f"{place}: no {', '.join(missing)}; a line is one object {ROW_FORM}")
    model, problem, sample, budget, correct = (
        row.get(key) for key in ("model", "problem", "sample", "budget", "correct")
    )
    if model not in (None, *MODELS):
        raise UserError(f"{place}: model={model!r}, allowed are {', '.join(MODELS)} (without the key: run)")
    if not isinstance(problem, str | int) or type(sample) is not int or type(budget) is not int or budget < 1:
        raise UserError(
            f"{place}: problem={problem!r} must be a name, sample={sample!r} and budget={budget!r} whole numbers"
        )
    if correct not in (True, False):
        raise UserError(f"{place}: correct={correct!r}, allowed are true and false")
    return model or "run", str(problem), sample, budget, bool(correct)


def read_models(path: Path) -> dict[str, Means]:
    """The means by model, problem and budget of a JSON Lines file of graded thoughts.

    Raises UserError (file:line) for a bad or repeated row, and where a problem lacks samples at a budget.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; give a JSON Lines file of rows {ROW_FORM}")
    grades: dict[str, dict[str, dict[int, dict[int, bool]]]] = {}
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not text.strip():
            continue
        model, problem, sample, budget, correct = _row(text, f"{path}:{number}")
        at_budget = grades.setdefault(model, {}).setdefault(problem, {}).setdefault(budget, {})
        if sample in at_budget:
            raise UserError(
                f"{path}:{number}: problem {problem!r}, sample {sample}, budget {budget} of model {model} "
                "was there before"
            )
        at_budget[sample] = correct
    if not grades:
        raise UserError(f"{path}: no rows; a line is one object {ROW_FORM}")
    budgets = {budget for model in grades.values() for problem in model.values() for budget in problem}
    for model, problems in grades.items():
        for problem, by_budget in problems.items():
            if set(by_budget) != budgets or len({frozenset(samples) for samples in by_budget.values()}) > 1:
                raise UserError(
                    f"{path}: problem {problem!r} of model {model} needs the same samples at every budget "
                    f"{sorted(budgets)}"
                )
    return {
        model: {
            problem: {budget: sum(got.values()) / len(got) for budget, got in sorted(by_budget.items())}
            for problem, by_budget in problems.items()
        }
        for model, problems in grades.items()
    }


def _matrix(means: Means, problems: Sequence[str]) -> Array:
    return np.array([list(means[problem].values()) for problem in problems])


def judge(models: dict[str, Means], section: VerdictSection) -> dict[str, Any]:
    """Level, gain and intervals of every model, and the verdict where unpruned, pruned and run are all there;
    JSON-safe."""
    budgets = list(next(iter(next(iter(models.values())).values())))
    described = {name: describe(_matrix(means, list(means)), budgets, section) for name, means in models.items()}
    if set(models) != set(MODELS):
        return {"models": described, "paired": None, "verdict": None}
    paired = [problem for problem in models["run"] if problem in models["unpruned"] and problem in models["pruned"]]
    if not paired:
        raise UserError("the models unpruned, pruned and run share no problem; a verdict is paired by problem")
    run, unpruned, pruned = (_matrix(models[name], paired) for name in ("run", "unpruned", "pruned"))
    verdict = decide(run, unpruned, pruned, budgets, section)
    return {"models": described, "paired": len(paired), "verdict": asdict(verdict) | {"line": verdict_line(verdict)}}


def describe(means: Array, budgets: Sequence[int], section: VerdictSection) -> dict[str, Any]:
    """Accuracy by budget, level, gain and intervals of one model's `means` [P, K]; JSON-safe (None where undefined)."""
    at_budgets = [(float(means[:, k].mean()), *accuracy_interval(means[:, k])) for k in range(len(budgets))]
    gain = gain_interval(means, budgets, section.resamples)
    return {
        "problems": len(means),
        "accuracy": [
            {"budget": b, "accuracy": p, "low": low, "high": high}
            for b, (p, low, high) in zip(budgets, at_budgets, strict=True)
        ],
        "level": at_budgets[0][0],
        "gain_per_doubling": gain.estimate if gain else None,
        "gain_low": gain.low if gain else None,
        "gain_high": gain.high if gain else None,
        "total_gain": at_budgets[-1][0] - at_budgets[0][0] if len(budgets) > 1 else None,
    }


def _text(report: dict[str, Any]) -> str:
    lines = []
    for name, numbers in report["models"].items():
        cells = [
            f"{row['accuracy']:.2f} [{row['low']:.2f}, {row['high']:.2f}] at {row['budget']}"
            for row in numbers["accuracy"]
        ]
        gain = numbers["gain_per_doubling"]
        tail = (
            "gain not defined"
            if gain is None
            else (f"gain {gain:+.3f} per doubling ({numbers['gain_low']:+.3f} … {numbers['gain_high']:+.3f})")
        )
        lines.append(
            f"{name}: {numbers['problems']} problems, level {numbers['level']:.2f}, {tail}\n  " + "\n  ".join(cells)
        )
    if report["verdict"] is None:
        lacking = [name for name in MODELS if name not in report["models"]]
        lines.append(f"no verdict: it compares three models, and there are no rows of {', '.join(lacking)}")
    else:
        lines += [f"paired by {report['paired']} problems", report["verdict"]["line"], *report["verdict"]["reasons"]]
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """`python -m eval.verdict FILE.jsonl [--json] [margin=… level_margin=… min_recovered=… resamples=…]`."""
    own = {name: field.description or "" for name, field in VerdictSection.model_fields.items() if name != "suite"}
    given, rest = split(arguments, own)
    paths = [argument for argument in rest if argument != "--json"]
    if len(paths) != 1:
        raise UserError(
            f"give one JSON Lines file, got {paths}: python -m eval.verdict FILE.jsonl [--json] [margin=0.05 …]"
        )
    try:
        section = VerdictSection.model_validate(given)
    except ValidationError as error:
        raise UserError(
            "\n".join(f"{fault['loc'][0]}={fault['input']!r}: {fault['msg']}" for fault in error.errors())
        ) from None
    report = judge(read_models(Path(paths[0])), section)
    print(json.dumps(report, indent=2) if "--json" in rest else _text(report))
