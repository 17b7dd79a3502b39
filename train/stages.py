"""The stages of a run, in the order in which `train.main` calls them."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PrinterCallback, ProgressCallback
from transformers.integrations.deepspeed import unset_hf_deepspeed_config
from trl import SFTConfig, SFTTrainer

from data_prep.fingerprint import fingerprint
from data_prep.models import context_tokens, load_config, load_tokenizer
from data_prep.prepared.manifest import describe
from data_prep.prepared.prepare import FIGURE, Prepared, open_prepared, prepare
from eval.numbers.summary import newest, read_rows, verdict_suite
from eval.show.tables import budget_name
from eval.sweep import SweepSpec, check_context, make_sweep_spec
from prune.select import choose
from recipes.errors import UserError
from recipes.run import RunSection
from recipes.schema import AdapterSection, ExportSection, ModelSection, Recipe
from recipes.sweep import SweepSection, VerdictSection
from runtime.ranks import Ranks, on_every_rank, on_first_rank
from train.arguments import Arithmetic, arithmetic, make_arguments
from train.determinism import determinism
from train.elastic import read_universal
from train.exits import in_training
from train.export import export_run
from train.feed import Feed, feed_of
from train.hooks.checkpoints import CheckpointCallback, Kept
from train.hooks.early_stop import EarlyStopCallback, Through
from train.hooks.guard import guard_over
from train.hooks.metrics import MetricsCallback, PreemptionCallback, SweepCallback
from train.hooks.recorder import Clock, Cost, SweepRecorder
from train.hooks.saved_sweeps import make_sweeps
from train.hooks.sweep_share import within_share
from train.hooks.tracking import NoTracker, Tracker, start_tracker
from train.model import (
    ReferenceCache,
    References,
    check_local,
    peft_config,
    plan_facts,
    pruned_path,
    reference_sweep,
)
from train.offload import check_zero
from train.opening import check_same_facts
from train.processes import device, uses_deepspeed
from train.quantised import check_quantised
from train.run_record import RunFolder
from train.terminal import BarCallback
from train.zero import config_of, record_config

__all__ = ["make_arguments"]

MOST_OF_A_SHARED_GPU = 0.5


def say(ranks: Ranks, text: str) -> None:
    """Prints once, from rank 0."""
    if ranks.rank == 0:
        print(text, flush=True)


@dataclass(frozen=True)
class Inputs:
    """What a run needs beside weights: what is swept, the tokenised traces and the batch arithmetic."""

    spec: SweepSpec
    prepared: Prepared
    feed: Feed
    arithmetic: Arithmetic

    def describe(self) -> str:
        """The lines shown before anything is loaded."""
        suites = ", ".join(f"{suite.name} {len(suite.problems)}" for suite in self.spec.suites)
        return (
            f"data   {describe(self.prepared.manifest).replace(chr(10), chr(10) + '       ')}\n"
            f"batch  {str(self.arithmetic).replace(chr(10), chr(10) + '       ')}\n"
            f"format {self.spec.protocol.format}\n"
            f"sweep  budgets {', '.join(map(budget_name, self.spec.protocol.budgets))} tokens; problems: {suites}"
        )


def read_inputs(recipe: Recipe, ranks: Ranks) -> Inputs:
    """Reads and checks everything that needs no weights; UserError names the key or the row that is wrong."""
    spec = on_every_rank(ranks, lambda: _read_spec(recipe))
    on_every_rank(ranks, lambda: check_zero(recipe, device().type, ranks.count))
    on_every_rank(ranks, lambda: config_of(recipe, device().type, ranks.count))  # a config of one's own must fit
    folder = on_first_rank(
        ranks,
        lambda: str(
            prepare(
                recipe.data, spec.tokenizer, spec.protocol.format, lambda text: say(ranks, text), spec.suites
            ).folder
        ),
    )
    prepared = open_prepared(Path(folder))
    feed = feed_of(recipe.data, prepared)
    counts = (len(prepared.rows), feed.sequences, prepared.tokens)
    return Inputs(spec, prepared, feed, arithmetic(recipe.trainer, *counts, ranks.count))


def _read_spec(recipe: Recipe) -> SweepSpec:
    """What is swept, with everything checked that needs neither weights nor traces."""
    _check_sections(recipe)
    check_quantised(recipe)
    tokenizer = load_tokenizer(recipe.model.unpruned, recipe.model)
    if recipe.model.pruned is not None:
        check_local(recipe.model.pruned)
    spec = make_sweep_spec(recipe.sweep, recipe.data.format, tokenizer)
    context, longest = context_tokens(recipe.model.unpruned, recipe.model), recipe.data.max_length_tokens
    if longest > context:
        raise UserError(
            f"data.max_length_tokens={longest}: the model's context has {context} tokens; write at most {context}"
        )
    check_context(spec, context, "sweep.budgets")
    if recipe.prune is not None:
        layers = int(load_config(recipe.model.unpruned, recipe.model).num_hidden_layers)
        choose(recipe.prune, layers, [0.0] * layers)
    return spec


def _check_sections(recipe: Recipe) -> None:
    """UserError where sections that are sound by themselves do not go together, or not with this machine."""
    if recipe.model.attention == "flash_attention_2" and not torch.cuda.is_available():
        raise UserError("model.attention=flash_attention_2 needs a GPU, and there is none here; use auto or sdpa")
    engine = recipe.sweep.engine
    if not engine.takes_checkpoints:
        raise UserError(
            f"sweep.engine.name={engine.name}: an endpoint does not serve the weights that a run trains; use hf or "
            f"vllm here, and {engine.name} with python -m eval"
        )
    share = engine.gpu_memory_share or 0.0
    if share > MOST_OF_A_SHARED_GPU and recipe.sweep.devices is None and torch.cuda.is_available():
        raise UserError(
            f"sweep.engine.gpu_memory_share={share:g}: {engine.name} would want that much of a GPU that trains; "
            f"give it GPUs of its own with sweep.devices, or a share of at most {MOST_OF_A_SHARED_GPU:g}"
        )
    if recipe.model.dtype == "bfloat16" and not uses_deepspeed(recipe.zero):
        raise UserError(
            "zero.stage=0 with model.dtype=bfloat16: without DeepSpeed there are no float32 master "
            "weights, and small updates would be rounded away; use zero.stage=1 or model.dtype=float32"
        )
    if recipe.trainer.get("save_strategy") == "no" and recipe.export.enabled:
        raise UserError(
            "trainer.save_strategy=no: the export is made from the last checkpoint, and there would be "
            "none; use steps or epoch, or export.enabled=false"
        )


def check_same_protocol(folder: RunFolder, spec: SweepSpec, run: RunSection) -> None:
    """UserError where the sweeps that a run goes on from were measured otherwise: by other problems, another chat
    template, another version of an engine or a grader. Before anything is written."""
    check_same_facts(folder, {"protocol": protocols(spec)}, run)


def protocols(spec: SweepSpec) -> dict[str, str]:
    """The protocol hash of every suite."""
    return {suite.name: spec.protocol_hash(suite) for suite in spec.suites}


def prune(recipe: Recipe, folder: RunFolder, ranks: Ranks) -> str:
    """The path of the pruned model, made or checked."""
    return pruned_path(recipe, folder.path, ranks)


def sweep_references(recipe: Recipe, pruned: str, spec: SweepSpec, folder: RunFolder, ranks: Ranks) -> References:
    """The sweeps of the unpruned model and of the pruned one before training."""
    cache = ReferenceCache(recipe.run.cache_dir, folder.path / "samples", ranks, recipe.sweep.devices)
    return References(
        unpruned=reference_sweep("unpruned", recipe.model.unpruned, recipe.model, spec, cache),
        pruned=reference_sweep("pruned", pruned, recipe.model, spec, cache),
    )


def start_record(folder: RunFolder, recipe: Recipe, pruned: str, inputs: Inputs, ranks: Ranks) -> Tracker:
    """Completes run.json with data, plan and protocol, and starts the W&B run with all of it; rank 0 only."""
    trackers: list[Tracker] = []

    def start() -> None:
        facts = {
            "data": inputs.prepared.facts(),
            "pruned": pruned,
            "pruned_fingerprint": fingerprint(pruned),
            "prune_plan": plan_facts(pruned),
            "format": inputs.spec.protocol.format.facts(),
            "traces": recipe.data.traces.model_dump(mode="json"),
            "protocol": protocols(inputs.spec),
            "seeds": {"train": recipe.seed, "sweep": recipe.sweep.seed},
            "determinism": determinism(),
        }
        check_same_facts(folder, facts, recipe.run)
        folder.add_facts(facts)
        copy_figure(inputs.prepared.folder / FIGURE, folder.path / "figures" / "trace_lengths.png")
        group = _group(recipe.model, plan_facts(pruned))
        trackers.append(start_tracker(recipe.wandb, folder.path, folder.facts(), group))

    on_first_rank(ranks, start)
    return trackers[0] if trackers else NoTracker()


def copy_figure(figure: Path, to: Path) -> None:
    """The cache may be emptied one day; the run folder keeps what it shows."""
    to.parent.mkdir(exist_ok=True)
    shutil.copyfile(figure, to)


def _group(model: ModelSection, plan: dict[str, Any] | None) -> str:
    """The pruned model's name, under which W&B groups its runs."""
    if model.pruned is not None:
        return Path(model.pruned).name
    plan = plan or {}
    return f"{Path(model.unpruned).name}-{plan.get('method', 'pruned')}-{len(plan.get('removed', []))}"


def make_recorder(
    folder: RunFolder, tracker: Tracker, references: References, sweep: SweepSection, ranks: Ranks
) -> SweepRecorder:
    """The recorder of sweeps; the references become its first rows."""
    suite = sweep.verdict.suite or sweep.suites[-1].name
    verdict: VerdictSection = sweep.verdict.model_copy(update={"suite": suite})
    recorder = SweepRecorder(folder, tracker, references, verdict, ranks)
    for sweeps in (references.unpruned, references.pruned):
        recorder.record(sweeps, Cost())
    return recorder


def make_trainer(model: PreTrainedModel, arguments: SFTConfig, inputs: Inputs, adapter: AdapterSection) -> SFTTrainer:
    """TRL's trainer on rows that are tokenised and labelled already."""
    return inputs.feed.trainer(model, arguments, inputs.spec.tokenizer, peft_config(adapter))


def add_callbacks(trainer: SFTTrainer, inputs: Inputs, recipe: Recipe, recorder: SweepRecorder) -> PreemptionCallback:
    """Sweeps, metrics, checkpoints, preemption, the guard against bad losses, and a quiet progress bar."""
    clock, preemption = Clock(), PreemptionCallback(recorder.ranks)
    trainer.remove_callback(ProgressCallback)
    trainer.remove_callback(PrinterCallback)
    if not trainer.args.disable_tqdm:
        trainer.add_callback(BarCallback())
    guard = guard_over(trainer, recipe.guard, inputs.prepared.rows, recorder)
    sweeps = within_share(
        make_sweeps(trainer, inputs.spec, recipe.sweep, recorder, clock), trainer, recorder, recipe.sweep.max_share
    )
    trainer.add_callback(preemption)
    trainer.add_callback(SweepCallback(sweeps, recipe.sweep.every_steps, preemption, recorder))
    trainer.add_callback(EarlyStopCallback(recipe.early_stop, recorder))
    kept = Kept(recipe.trainer.get("save_total_limit"), recipe.keep_best)
    trainer.add_callback(CheckpointCallback(recorder.folder, kept, recorder.ranks))
    trainer.add_callback(MetricsCallback(recorder, clock, guard))
    return preemption


def train(trainer: SFTTrainer, resume: Path | None) -> None:
    """Trains to the last step, from the start or from a checkpoint; models loaded afterwards are whole again.

    A run that is through does what is left of its sweeps; its weights are loaded only where one needs them.
    """
    record_config(trainer)
    read_universal(trainer, resume)
    sweeps = [each for each in trainer.callback_handler.callbacks if isinstance(each, SweepCallback)]
    step = through(trainer, resume) if resume else 0
    with in_training():
        if step and not any(each.is_owed(step, step) for each in sweeps):
            for each in sweeps:
                each.finish(step)
        else:
            try:
                trainer.train(resume_from_checkpoint=str(resume) if resume else None)
            except Through:
                for each in sweeps:
                    each.sweeps.wait()
    unset_hf_deepspeed_config()  # under ZeRO-3 rank 0 would wait for the others to share in loading the export


def through(trainer: SFTTrainer, resume: Path) -> int:
    """The last step of a run that has trained to its end, or has stopped early; 0 for one that goes on."""
    state = json.loads((resume / "trainer_state.json").read_text(encoding="utf-8"))
    step = int(state["global_step"])
    stops = [each for each in trainer.callback_handler.callbacks if isinstance(each, EarlyStopCallback)]
    last = trainer.args.max_steps if trainer.args.max_steps > 0 else int(state["max_steps"])
    return step if step >= last or any(each.reason(step) for each in stops) else 0


def finish(folder: RunFolder, section: ExportSection, tracker: Tracker) -> None:
    """The report, the export and the last words of a run; rank 0 only."""
    from eval.show.report import write_report  # matplotlib is not needed before the end

    lines = [f"report  {write_report(folder.path)}"]
    lines += [f"figure  {figure}" for figure in sorted((folder.path / "figures").glob("*.png"))]
    if section.enabled:
        out = folder.path / "export"
        parity = export_run(folder, out, section)
        lines.append(f"export  {out} (logits within {parity.merged_difference:.1e} of the trained model's)")
    rows = read_rows(folder.path / "sweeps.jsonl")
    whole = newest(rows, "run", verdict_suite(rows))[1] or {}
    folder.add_facts({"finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "verdict": whole.get("verdict")})
    tracker.finish({"verdict": whole.get("verdict"), "gain_per_doubling": whole.get("gain_per_doubling")})
    print("\n".join(lines), flush=True)
