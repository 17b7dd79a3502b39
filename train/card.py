"""The model card of an export: lineage, recipe, curve and figure."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from eval.numbers.summary import at_step, newest, steps, verdict_suite
from eval.show.tables import budget_name, cell
from prune.plan import describe_merges
from runtime.files import read_rows, write_whole
from runtime.run_folder import RunFolder, step_of


def model_card(folder: RunFolder, checkpoint: Path, difference: float, out: Path, note: str = "") -> None:
    """Writes README.md (and the figure, where it is drawn) to `out`; `note`: what must be said under the curve."""
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
        *_curve(folder.sweeps, step),
        "",
        *([note, ""] if note else []),
        *(["![accuracy against thinking budget](accuracy_by_budget.png)", ""] if figure.is_file() else []),
        "## Recipe",
        "",
        "```yaml",
        folder.recipe.read_text(encoding="utf-8").strip(),
        "```",
        "",
    ]
    write_whole(out / "README.md", "\n".join(lines))


def _curve(path: Path, step: int) -> list[str]:
    """A Markdown table of the verdict suite: unpruned, pruned, and the run at `step` or its last sweep before."""
    rows = read_rows(path)
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
