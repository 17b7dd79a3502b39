"""The stages of a run, in the order in which `train.main` calls them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PreTrainedModel, ProgressCallback
from trl import SFTConfig, SFTTrainer

from data_prep.models import load_tokenizer
from data_prep.tokenize import Prepared, prepare
from eval.report import write_report
from eval.summary import newest, read_rows
from eval.sweep import Ranks, SweepPlan, check_context, make_sweep_plan
from prune.fingerprint import fingerprint, local_folder
from prune.inspect import check_folder
from prune.select import choose
from recipes.loader import Loaded
from recipes.schema import AdapterSection, ExportSection, ModelSection, Recipe, SweepSection, VerdictSection
from train.arguments import Arithmetic, arithmetic, make_arguments
from train.callbacks import Clock, CompleteCallback, MetricsCallback, SweepCallback, SweepRecorder
from train.export import export_run
from train.model import (
    ReferenceCache,
    References,
    context_tokens,
    peft_config,
    plan_facts,
    pruned_path,
    reference_sweep,
)
from train.ranks import on_first_rank
from train.run_record import RunFolder, begin_record, check_same_run, resume_point, step_of
from train.terminal import BarCallback
from train.tracking import NoTracker, Tracker, start_tracker

__all__ = ["make_arguments"]


def say(ranks: Ranks, text: str) -> None:
    """Prints once, from rank 0."""
    if ranks.rank == 0:
        print(text, flush=True)


@dataclass(frozen=True)
class Inputs:
    """What a run needs beside weights: the sweep's plan, the tokenised traces and the batch arithmetic."""

    plan: SweepPlan
    prepared: Prepared
    arithmetic: Arithmetic

    def describe(self) -> str:
        """The lines shown before anything is loaded."""
        data, suites = self.prepared, ", ".join(f"{suite.name} {len(suite.problems)}" for suite in self.plan.suites)
        return (f"data   {data.read:,} traces read, {len(data.rows):,} kept, {data.too_long} too long and dropped "
                f"(longest {data.longest_tokens} tokens); {data.labelled_tokens / data.tokens:.0%} of the tokens are labelled\n"
                f"batch  {str(self.arithmetic).replace(chr(10), chr(10) + '       ')}\n"
                f"sweep  budgets {', '.join(map(str, self.plan.protocol.budgets))} tokens; problems: {suites}")


def read_inputs(recipe: Recipe, ranks: Ranks) -> Inputs:
    """Reads and checks everything that needs no weights; UserError names the key or the row that is wrong."""
    _check_device(recipe.model)
    tokenizer = load_tokenizer(recipe.model.unpruned, recipe.model)
    if recipe.model.pruned is not None and (folder := local_folder(recipe.model.pruned)) is not None:
        check_folder(folder)
    plan = make_sweep_plan(recipe.sweep, recipe.data.format, tokenizer)
    check_context(plan, context_tokens(recipe.model.unpruned, recipe.model))
    if recipe.prune is not None:
        layers = _layers(recipe.model)
        choose(recipe.prune, layers, [0.0] * layers)
    prepared = prepare(recipe.data, tokenizer, plan.protocol.format)
    return Inputs(plan=plan, prepared=prepared, arithmetic=arithmetic(recipe.trainer, prepared, ranks.count))


def _layers(section: ModelSection) -> int:
    from data_prep.models import load_config

    return int(load_config(section.unpruned, section).num_hidden_layers)


def _check_device(section: ModelSection) -> None:
    from recipes.errors import UserError

    if section.attention == "flash_attention_2" and not torch.cuda.is_available():
        raise UserError("model.attention=flash_attention_2 needs a GPU, and there is none here; use auto or sdpa")


def open_run(folder: RunFolder, loaded: Loaded[Recipe], ranks: int) -> Path | None:
    """Begins the record, or goes on with one; the checkpoint to resume from, or None. Rows after it are forgotten."""
    checkpoint = resume_point(folder, loaded.recipe.run)
    check_same_run(folder, loaded.recipe, ranks)
    begin_record(folder, loaded, ranks)
    step = step_of(checkpoint) if checkpoint else -1
    for name in ("metrics.jsonl", "sweeps.jsonl"):
        folder.drop_rows_after(name, step)
    return checkpoint


def prune(recipe: Recipe, folder: RunFolder, ranks: Ranks) -> str:
    """The path of the pruned model, made or checked."""
    return pruned_path(recipe, folder.path, ranks)


def sweep_references(recipe: Recipe, pruned: str, plan: SweepPlan, ranks: Ranks) -> References:
    """The sweeps of the unpruned model and of the pruned one before training."""
    cache = ReferenceCache(recipe.run.cache_dir, ranks)
    return References(
        unpruned=reference_sweep("unpruned", recipe.model.unpruned, recipe.model, plan, cache),
        pruned=reference_sweep("pruned", pruned, recipe.model, plan, cache))


def start_record(folder: RunFolder, recipe: Recipe, pruned: str, inputs: Inputs, ranks: Ranks) -> Tracker:
    """Completes run.json with data, plan and protocol, and starts the W&B run with all of it; rank 0 only."""
    def start() -> None:
        protocols = {suite.name: inputs.plan.protocol_hash(suite) for suite in inputs.plan.suites}
        folder.add_facts({"data": inputs.prepared.facts(), "pruned": pruned, "pruned_fingerprint": fingerprint(pruned),
                          "prune_plan": plan_facts(pruned), "protocol": protocols, "seeds": {"train": recipe.seed, "sweep": recipe.sweep.seed}})

    on_first_rank(ranks, start)
    if ranks.rank != 0:
        return NoTracker()
    facts = folder.facts()
    plan = facts["prune_plan"] or {}
    group = f"{Path(recipe.model.unpruned).name}-{plan.get('method', 'pruned')}-{len(plan.get('removed', []))}"
    return start_tracker(recipe.wandb, folder.path, facts, group)


def make_recorder(folder: RunFolder, tracker: Tracker, references: References, sweep: SweepSection, ranks: Ranks) -> SweepRecorder:
    """The recorder of sweeps; the references become its first rows."""
    suite = sweep.verdict.suite or sweep.suites[-1].name
    verdict: VerdictSection = sweep.verdict.model_copy(update={"suite": suite})
    recorder = SweepRecorder(folder, tracker, references, verdict, ranks)
    for sweeps in (references.unpruned, references.pruned):
        recorder.record(sweeps, 0.0)
    return recorder


def make_trainer(model: PreTrainedModel, arguments: SFTConfig, inputs: Inputs, adapter: AdapterSection) -> SFTTrainer:
    """TRL's trainer on rows that are tokenised and labelled already."""
    rows: Mapping[str, Any] = {
        "input_ids": [row.input_ids for row in inputs.prepared.rows], "labels": [row.labels for row in inputs.prepared.rows]}
    return SFTTrainer(model=model, args=arguments, train_dataset=Dataset.from_dict(dict(rows)),
                      processing_class=inputs.plan.tokenizer, peft_config=peft_config(adapter))


def add_callbacks(trainer: SFTTrainer, plan: SweepPlan, every_steps: int, recorder: SweepRecorder, resume: Path | None) -> None:
    """Sweeps, metrics, marks of complete checkpoints, and a quiet progress bar."""
    clock = Clock()
    trainer.remove_callback(ProgressCallback)
    trainer.add_callback(BarCallback())
    trainer.add_callback(SweepCallback(trainer, plan, every_steps, recorder, clock))
    trainer.add_callback(MetricsCallback(recorder.folder, recorder.tracker, clock))
    trainer.add_callback(CompleteCallback(recorder.ranks))


def train(trainer: SFTTrainer, resume: Path | None) -> None:
    """Trains to the last step, from the start or from a checkpoint."""
    trainer.train(resume_from_checkpoint=str(resume) if resume else None)


def finish(folder: RunFolder, section: ExportSection, tracker: Tracker) -> None:
    """The report, the export and the last words of a run; rank 0 only."""
    report = write_report(folder.path)
    lines = [f"report  {report}", f"figure  {folder.path / 'figures' / 'curves.png'}"]
    if section.enabled:
        parity = export_run(folder, folder.path / "export", section)
        lines.append(f"export  {folder.path / 'export'} (logits within {parity.merged_difference:.1e} of the trained model's)")
    rows = read_rows(folder.path / "sweeps.jsonl")
    whole = newest(rows, "run", rows[-1]["suite"])[1] or {}
    folder.add_facts({"finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "verdict": whole.get("verdict")})
    tracker.finish({"verdict": whole.get("verdict"), "gain_per_doubling": whole.get("gain_per_doubling")})
    print("\n".join(lines), flush=True)
