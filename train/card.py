"""The model card of an export: lineage, recipe, curve and figure."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eval.numbers.summary import Row, at_step, newest, steps, verdict_suite
from eval.show.tables import budget_name, cell
from prune.plan import describe_merges
from runtime.files import read_rows, write_whole
from runtime.run_folder import RunFolder, step_of


def model_card(
    folder: RunFolder, checkpoint: Path, difference: float, out: Path, note: str = "", confirmed: Sequence[Row] = ()
) -> None:
    """Writes README.md (and the figure, where it is drawn) to `out`.

    note: what must be said under the curve; confirmed: the rows of this very checkpoint's confirmation, which then come
    first.
    """
    facts, step = folder.facts(), step_of(checkpoint)
    figure = folder.figures / "accuracy_by_budget.png"
    if figure.is_file():
        shutil.copy(figure, out)
    plan = facts.get("prune_plan") or {}
    lines = [
        "---",
        "library_name: transformers",
        "tags: [chainmend, pruned, reasoning]",
        "---",
        "",
        f"# {facts['name']}",
        "",
        "A layer-pruned reasoning model, recovered with chainmend. "
        f"Step {step} of run `{facts['id']}` (commit {facts.get('commit')}).",
        "",
        "## Lineage",
        "",
        f"- unpruned: `{facts['recipe']['model']['unpruned']}`",
        f"- pruned by {plan.get('method', 'others')}: layers {plan.get('removed', 'not recorded')} "
        f"of {plan.get('layers', 'not recorded')} removed"
        + (f"; merged: {describe_merges(plan['merged'])}" if plan.get("merged") else ""),
        f"- adapter: {facts['recipe']['adapter']['method']}; merged in float32, "
        f"largest logit difference to the trained model {difference:.1e}",
        f"- data: {facts['data']['traces_kept']} traces, hash `{facts['data']['hash']}`",
        "",
        "## Accuracy by thinking budget",
        "",
        *(_confirmed(confirmed, step) if confirmed else []),
        *_curve(read_rows(folder.sweeps), step),
        "",
        *([note, ""] if note and not confirmed else []),
        *(["![accuracy against thinking budget](accuracy_by_budget.png)", ""] if figure.is_file() else []),
        "## Recipe",
        "",
        *_fenced(folder.recipe.read_text(encoding="utf-8").strip()),
        "",
    ]
    write_whole(out / "README.md", "\n".join(lines))


def _fenced(recipe: str) -> list[str]:
    """A block of YAML that ends where it should: a recipe may hold backticks of its own, and markup after them."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", recipe)), default=0))
    return [f"{fence}yaml", recipe, fence]


def _confirmed(rows: Sequence[Row], step: int) -> list[str]:
    """The curve on problems that no sweep saw, and a heading for that of the sweeps, which follows."""
    problems = newest(rows, "run", verdict_suite(rows))[0][-1]["problems"]
    return [
        f"Confirmed: on {problems} problems that no sweep of the run saw, looked at once.",
        "",
        *_curve(rows, step),
        "",
        "By the sweeps in training:",
        "",
    ]


def _curve(rows: Sequence[Row], step: int) -> list[str]:
    """A Markdown table of the verdict suite: unpruned, pruned, and the run at `step` or its last sweep before."""
    if not rows:
        return ["not measured"]
    suite = verdict_suite(rows)
    swept = [s for s in steps(rows, "run", suite) if s <= step]
    models: dict[str, tuple[list[dict[str, Any]], dict[str, Any] | None]] = {
        name: newest(rows, name, suite) for name in ("unpruned", "pruned")
    }
    if swept:
        models[f"step {swept[-1]}"] = at_step(rows, "run", suite, swept[-1])
    budgets = [row["budget"] for row in models["unpruned"][0]]
    table = [f"| {suite} | " + " | ".join(map(budget_name, budgets)) + " |", "|---" * (len(budgets) + 1) + "|"]
    table += [
        f"| {name} | " + " | ".join(map(cell, at_budgets)) + " |"
        for name, (at_budgets, _) in models.items()
        if at_budgets
    ]
    verdict = models.get(f"step {swept[-1]}" if swept else "", ([], None))[1]
    return [*table, "", (verdict or {}).get("verdict_line") or "no verdict"]
