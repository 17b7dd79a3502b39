"""Graded thoughts from any tool: a JSON Lines file of rows {problem, sample, budget, correct[, model]} to means by problem."""

from __future__ import annotations

import json
from pathlib import Path

from recipes.errors import UserError

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
    model, problem, sample, budget, correct = (row.get(key) for key in ("model", "problem", "sample", "budget", "correct"))
    if model not in (None, *MODELS):
        raise UserError(f"{place}: model={model!r}, allowed are {', '.join(MODELS)} (without the key: run)")
    if not isinstance(problem, str | int) or type(sample) is not int or type(budget) is not int or budget < 1:
        raise UserError(f"{place}: problem={problem!r} must be a name, sample={sample!r} and budget={budget!r} whole numbers")
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
            raise UserError(f"{path}:{number}: problem {problem!r}, sample {sample}, budget {budget} of model {model} was there before")
        at_budget[sample] = correct
    if not grades:
        raise UserError(f"{path}: no rows; a line is one object {ROW_FORM}")
    budgets = {budget for model in grades.values() for problem in model.values() for budget in problem}
    for model, problems in grades.items():
        for problem, by_budget in problems.items():
            if set(by_budget) != budgets or len({frozenset(samples) for samples in by_budget.values()}) > 1:
                raise UserError(f"{path}: problem {problem!r} of model {model} needs the same samples at every budget {sorted(budgets)}")
    return {model: {problem: {budget: sum(got.values()) / len(got) for budget, got in sorted(by_budget.items())}
                    for problem, by_budget in problems.items()} for model, problems in grades.items()}
