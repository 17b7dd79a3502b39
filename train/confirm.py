"""Sweeps the kept checkpoint once, with both references, on problems that no sweep saw (`sweep.confirm`).

The best of many sweeps overestimates accuracy. These figures do not, since nothing was selected on these problems.
The problems can therefore be used only once: no second checkpoint is measured on them.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from data_prep.models import load_model
from eval.checkpoint import Checkpoint, checkpoint_hash, checkpoint_weights, find_checkpoint
from eval.kept_sweep import KeptSweep, Place
from eval.numbers.summary import Row, sweep_rows
from eval.show.confirmed import confirmed_facts, confirmed_table
from eval.sweep import SweepSpec
from eval.types import SuiteSweep, Weights
from recipes.schema import ModelSection, Recipe
from runtime.files import write_rows
from runtime.ranks import on_first_rank
from runtime.run_folder import RunFolder, step_of
from train.checkpoints import kept_checkpoint
from train.inputs import Inputs
from train.quantised import as_trained
from train.references import References, both_references, by_engine
from train.run import Run

FACT = "confirmed"


def confirm(run: Run, recipe: Recipe, inputs: Inputs, pruned: str) -> None:
    """Sweeps the kept checkpoint, records and shows the result; all ranks must call it, after training.

    A killed confirmation resumes from its journal; a finished one is not repeated. Does nothing without
    `sweep.confirm`.
    """
    spec, ranks, folder = inputs.confirm, run.ranks, run.folder
    if spec is None:
        return
    kept = on_first_rank(ranks, lambda: kept_checkpoint(folder, recipe.export, recipe.keep_best))
    step, weights = step_of(kept), on_first_rank(ranks, lambda: weights_of(kept, pruned, recipe))
    protocol = spec.protocol_hash(spec.suites[0])
    if on_first_rank(ranks, lambda: _is_used(folder, step, weights, protocol)):
        return
    place = Place(folder.confirmed.samples, "run", step)
    sweep = KeptSweep(spec, place, weights, ranks)
    on_first_rank(ranks, sweep.set_others_aside)  # those of earlier problems or weights
    references = both_references(recipe, pruned, spec, folder.confirmed, ranks)

    def load() -> Weights:
        gc.collect()  # frees the trained model and its optimizer
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return _load(kept, pruned, recipe)

    swept = by_engine(spec.engine, ranks, lambda some: KeptSweep(spec, place, weights, some).run(load))
    on_first_rank(ranks, lambda: _record(run, recipe, spec, swept, references, weights))


def weights_of(checkpoint: Path, pruned: str, recipe: Recipe) -> str:
    """Identifies the weights of a checkpoint of a run. UserError if it is damaged."""
    return checkpoint_hash(_found(checkpoint, pruned), recipe.model)


def confirmation_of(folder: RunFolder, checkpoint: Path, pruned: str, recipe: Recipe) -> Mapping[str, Any] | None:
    """The confirmation in run.json, which may be of another step. None if there is none, or if it is of other weights
    at this step (the run has since resumed from an earlier checkpoint)."""
    confirmed: dict[str, Any] | None = folder.facts().get(FACT)
    if confirmed and confirmed["step"] == step_of(checkpoint):
        same = confirmed["weights"] == weights_of(checkpoint, pruned, recipe)
        return confirmed if same else None
    return confirmed


def _found(checkpoint: Path, pruned: str) -> Checkpoint:
    """The checkpoint; an adapter is put on the pruned model at its current path."""
    found = find_checkpoint(str(checkpoint))
    return Checkpoint(pruned, found.adapter) if found.adapter else found


def _load(checkpoint: Path, pruned: str, recipe: Recipe) -> Weights:
    def base(path: str, section: ModelSection) -> PreTrainedModel:
        return as_trained(load_model(path, section), checkpoint)  # below an adapter: in 4 bits if it was trained so

    weights = checkpoint_weights(_found(checkpoint, pruned), recipe.model, recipe.sweep.engine, base)
    return replace(weights, devices=recipe.sweep.devices)


def _is_used(folder: RunFolder, step: int, weights: str, protocol: str) -> bool:
    """Whether the problems have already confirmed another checkpoint of this run; if so, says and records it."""
    before = folder.facts().get(FACT)
    if not before or before["protocol"] != protocol or (before["step"], before["weights"]) == (step, weights):
        return False
    folder.add_facts({FACT: {**before, "kept": step}})
    print(
        f"confirm step {step}: not confirmed; these problems already confirmed step {before['step']} of this run and "
        "can be used only once; use sweep.confirm.seed=N with run.resume_force=true for other problems",
        flush=True,
    )
    return True


def _record(
    run: Run,
    recipe: Recipe,
    spec: SweepSpec,
    swept: Mapping[str, SuiteSweep],
    references: References,
    weights: str,
) -> None:
    """Writes rows and record, and prints the table. The verdict has 95 % intervals, since there is only one look."""
    suite = spec.suites[0].name
    verdict = recipe.sweep.verdict.changed(suite=suite)
    unpruned, pruned = references.unpruned[suite], references.pruned[suite]
    rows: list[Row] = [
        *sweep_rows(unpruned, None, None, verdict),
        *sweep_rows(pruned, None, None, verdict),
        *sweep_rows(swept[suite], unpruned, pruned, verdict),
    ]
    write_rows(run.folder.confirmed.sweeps, rows)
    facts, before = {**confirmed_facts(rows), "weights": weights}, run.folder.facts().get(FACT)
    run.folder.add_facts({FACT: {**facts, "kept": facts["step"], "earlier": _earlier(facts, before)}})
    print(f"\n{confirmed_table(rows)}\n", flush=True)


def _earlier(facts: Mapping[str, Any], before: Mapping[str, Any] | None) -> int:
    """How many earlier confirmations this run had, on other problems; taking the best of them is selection again."""
    if before is None:
        return 0
    same = all(facts[key] == before[key] for key in ("protocol", "step", "weights"))
    return int(before["earlier"]) + (not same)
