"""The end of a run: confirmation of the kept checkpoint, report, summary and export."""

from __future__ import annotations

import time

from eval.numbers.summary import newest, verdict_suite
from eval.show.confirmed import standing
from eval.show.costs import pays_text
from eval.show.tables import sweep_table
from recipes.command import DONE
from recipes.schema import ExportSection, Recipe
from runtime.ranks import on_first_rank
from runtime.run_folder import RunFolder
from train.confirm import confirm
from train.exits import PREEMPTED
from train.export import export_run
from train.inputs import Inputs
from train.run import Run
from train.tracked_values import confirmed_values
from train.tracking import Tracker


def finish(run: Run, recipe: Recipe, inputs: Inputs, pruned: str) -> None:
    """Confirms the kept checkpoint on all ranks; then rank 0 writes report, summary and export."""
    confirm(run, recipe, inputs, pruned)
    on_first_rank(run.ranks, lambda: _last_words(run, recipe))


def stop(run: Run, step: int) -> None:
    """The final message of a run that was told to stop during training."""
    run.say(f"asked to stop: saved at step {step}; the same command resumes")
    _say_where(run.tracker.close(PREEMPTED))


def _last_words(run: Run, recipe: Recipe) -> None:
    """Report, verdict and tracker come first, so that a refused export loses none of them."""
    folder = run.folder
    rows, facts = run.sweep_rows(), folder.facts()
    lines = [f"{sweep_table(rows, verdict_suite(rows))}\n"]
    lines += [] if recipe.run.report == "none" else report_lines(folder)
    last_sweep = newest(rows, "run", verdict_suite(rows))[1] or {}
    lines += standing(facts, rows)
    if pays := pays_text(facts, rows, verdict_suite(rows)):
        lines.append(pays)
    folder.add_facts({"finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "verdict": last_sweep.get("verdict")})
    summary = {"verdict": last_sweep.get("verdict"), "gain_per_doubling": last_sweep.get("gain_per_doubling")}
    run.tracker.finish(summary | confirmed_values(facts.get("confirmed")))
    print("\n".join(lines), flush=True)
    try:
        _export(folder, recipe.export)
        _upload(folder, recipe, run.tracker)
    finally:
        _say_where(run.tracker.close(DONE))


def report_lines(folder: RunFolder) -> list[str]:
    """Writes the report and its figures; returns one line for each."""
    from eval.show.report import write_report  # loads matplotlib, which nothing needs earlier

    lines = [f"report  {write_report(folder.path)}"]
    return lines + [f"figure  {figure}" for figure in sorted(folder.figures.glob("*.png"))]


def _export(folder: RunFolder, section: ExportSection) -> None:
    if section.enabled:
        parity = export_run(folder, folder.export, section)
        close = f"logits within {parity.merged_difference:.1e} standard deviations of the trained model's"
        print(f"export  {folder.export} ({close})", flush=True)


def _upload(folder: RunFolder, recipe: Recipe, tracker: Tracker) -> None:
    """Uploads the weights that `wandb.artifacts` selects."""
    if recipe.wandb.artifacts == "all":
        for checkpoint in folder.complete_checkpoints():
            tracker.keep("checkpoint", checkpoint)
    if recipe.wandb.artifacts != "none" and recipe.export.enabled:
        tracker.keep("export", folder.export)


def _say_where(line: str) -> None:
    if line:
        print(line, flush=True)
