"""The stages of a run, in the order in which `train.main` calls them."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PrinterCallback, ProgressCallback
from transformers.integrations.deepspeed import unset_hf_deepspeed_config
from trl import SFTConfig

from data_prep.fingerprint import fingerprint
from data_prep.prepared.prepare import FIGURE
from eval.numbers.summary import Row
from eval.sweep import SweepSpec
from eval.types import WhichModel
from recipes.run import RunSection
from recipes.schema import ModelSection, Recipe
from runtime.ranks import Ranks, on_first_rank
from runtime.run_folder import RunFolder, step_of
from train import quantised
from train.determinism import determinism
from train.exits import in_training
from train.fused_kernels import fused, ground, kernels_of
from train.guard import Guard
from train.hooks.early_stop import EarlyStopHook, NothingLeftToTrain
from train.hooks.of_run import Hooks
from train.hooks.recorder import Cost, Looks, SweepRecorder
from train.host_memory import return_freed_memory
from train.inputs import Inputs
from train.live_report import LiveReport, write
from train.loss.choose import LossOfRun
from train.model import peft_config, plan_facts
from train.objective import loss_of_run
from train.opening import Resume, check_same_facts
from train.order import fillers
from train.outlook import show_references
from train.probes import keep_probes
from train.problems import keep_problems
from train.processes import device
from train.references import References, both_references
from train.rollouts import Schedule
from train.rounds import Rounds
from train.run import Run
from train.sizes import parameter_counts
from train.tracking import NoTracker, start_tracker
from train.trainer import RecoveryTrainer
from train.wandb_run import Tracked
from train.zero import record_config


def check_same_measures(folder: RunFolder, resume: Resume, recipe: Recipe, spec: SweepSpec) -> None:
    """UserError if the resumed run was measured differently, or against another unpruned model."""
    check_same_protocol(folder, resume, spec, recipe.run)
    check_same_unpruned(folder, resume, recipe.model, recipe.run)


def check_same_protocol(folder: RunFolder, resume: Resume, spec: SweepSpec, run: RunSection) -> None:
    """UserError, before anything is written, if the resumed run's sweeps were measured differently: with other
    problems, another chat template, another version of an engine or a grader."""
    check_same_facts(folder, resume, {"protocol": protocols(spec)}, run.resume_force)


def check_same_unpruned(folder: RunFolder, resume: Resume, model: ModelSection, run: RunSection) -> None:
    """UserError, before it is swept or anything is written, if the unpruned model's weights have changed since the
    resumed run began: its references would belong to another model."""
    check_same_facts(folder, resume, unpruned_facts(model), run.resume_force)


def unpruned_facts(model: ModelSection) -> dict[str, str]:
    """The fingerprint of the unpruned model; {} if its weights are not on this machine (yet)."""
    found = fingerprint(model.unpruned)
    return {"unpruned_fingerprint": found} if found else {}


def protocols(spec: SweepSpec) -> dict[str, str]:
    """The protocol hash of every suite."""
    return {suite.name: spec.protocol_hash(suite) for suite in spec.suites}


def sweep_references(recipe: Recipe, pruned: str, inputs: Inputs, folder: RunFolder, ranks: Ranks) -> References:
    """Sweeps the unpruned model, and the pruned one before training; also on the confirmation problems, whose results
    are read at the end. Prints both references and what they can decide (`train.outlook`)."""
    if inputs.confirm is not None:
        both_references(recipe, pruned, inputs.confirm, folder.confirmed, ranks)
    references = both_references(recipe, pruned, inputs.spec, folder, ranks)
    show_references(references, recipe.sweep, inputs.arithmetic.steps, ranks)
    return references


def make_loss(recipe: Recipe, pruned: str, inputs: Inputs, ranks: Ranks) -> LossOfRun:
    """The run's loss, with any second model that it needs; call it before `make_arguments`."""
    return loss_of_run(recipe, pruned, inputs.prepared, ranks)


def facts_of(recipe: Recipe, pruned: str, inputs: Inputs, loss: LossOfRun) -> dict[str, Any]:
    """The facts for run.json about data, steps, pruned model, protocol, loss and seeds."""
    return {
        "data": inputs.prepared.facts(),
        "steps": inputs.arithmetic.steps,
        **unpruned_facts(recipe.model),
        "pruned": pruned,
        "pruned_fingerprint": fingerprint(pruned),
        "prune_plan": plan_facts(pruned),
        "parameters": parameter_counts(recipe.model, pruned),
        "format": inputs.spec.protocol.format.facts(),
        "traces": recipe.data.traces.model_dump(mode="json"),
        "protocol": protocols(inputs.spec),
        "loss": loss.facts(),
        "seeds": {"train": recipe.seed, "sweep": recipe.sweep.seed},
        "determinism": determinism(),
    }


def start_run(
    folder: RunFolder, resume: Resume, recipe: Recipe, inputs: Inputs, facts: dict[str, Any], ranks: Ranks
) -> Run:
    """Completes run.json with `facts`, stores what the end of the run needs, and starts the W&B run on rank 0.

    UserError, on all ranks, if the resumed run had other facts.
    """

    def record() -> None:
        check_same_facts(folder, resume, facts, recipe.run.resume_force)
        folder.add_facts(facts)

    on_first_rank(ranks, record)
    if ranks.rank != 0:
        return Run(folder, ranks, NoTracker())
    decides = next(suite for suite in inputs.spec.suites if suite.name == recipe.sweep.deciding_suite.name)
    _keep_for_the_end(inputs, decides.name, folder)
    group = _group(recipe.model, facts["prune_plan"])
    return Run(folder, ranks, start_tracker(recipe.wandb, Tracked(folder, folder.facts(), decides), group))


def _keep_for_the_end(inputs: Inputs, suite: str, folder: RunFolder) -> None:
    """Stores the verdict suite's prompts for the export and its problems for the report, and the figure of the traces'
    lengths, in the run folder, since cache and suite may disappear."""
    keep_probes(inputs.spec, suite, folder)
    keep_problems(inputs.spec, suite, folder)
    folder.figures.mkdir(exist_ok=True)
    shutil.copyfile(inputs.prepared.folder / FIGURE, folder.figures / "trace_lengths.png")


def _group(model: ModelSection, plan: dict[str, Any] | None) -> str:
    """The pruned model's name, by which W&B groups its runs."""
    if model.pruned is not None:
        return Path(model.pruned).name
    plan = plan or {}
    widths = (plan.get("channels") or {}).get("widths")
    size = max(widths) if widths else len(plan.get("ranks") or plan.get("removed", []))
    return f"{Path(model.unpruned).name}-{plan.get('method', 'pruned')}-{size}"


def make_recorder(run: Run, references: References, recipe: Recipe, inputs: Inputs) -> SweepRecorder:
    """The recorder of sweeps; writes the references as its first rows and the first report."""
    sweep = recipe.sweep
    verdict = sweep.verdict.changed(suite=sweep.deciding_suite.name)
    recorder = SweepRecorder(run, references, verdict, Looks(sweep.every_steps, inputs.arithmetic.steps))
    recorder.record(references.unpruned, _cost(run, references, "unpruned"))
    recorder.record(references.pruned, _cost(run, references, "pruned"))
    if recipe.run.report != "live" or not run.is_first_rank:
        return recorder
    live = LiveReport(run.folder.path, write)
    live.renew()
    return replace(recorder, live=live)


def _cost(run: Run, references: References, which: WhichModel) -> Cost:
    """What a reference's sweep took in this process; else what an earlier start of the run has recorded, since a run
    that resumes finds the sweep in the cache."""
    earlier: Row = next((row for row in run.sweep_rows() if row["model"] == which), {})
    pace = references.paces[which].seconds_per_token if which in references.paces else None
    return Cost(
        seconds=references.seconds.get(which, earlier.get("seconds")),
        seconds_per_token=earlier.get("seconds_per_token") if pace is None else pace,
    )


def load_to_train(pruned: str, recipe: Recipe) -> PreTrainedModel:
    """The pruned model as the adapter needs it: in 4 bits for qlora, else in the recipe's dtype."""
    model = quantised.load_to_train(pruned, recipe.model, recipe.adapter)
    return_freed_memory(model)
    return model


def make_trainer(
    model: PreTrainedModel, arguments: SFTConfig, inputs: Inputs, recipe: Recipe, loss: LossOfRun, run: Run
) -> RecoveryTrainer:
    """Builds the trainer, with its guard, on rows that are already tokenised and labelled."""
    filling = fillers(inputs.feed.sequences, arguments)
    kernels = kernels_of(recipe.trainer, ground(device(), model.config.model_type))
    if kernels is not None:
        run.add_facts({"fused_kernels": "liger"})
        run.say("kernels RMSNorm, rotary embedding and SwiGLU by Liger (trainer.use_liger_kernel=false disables them)")
    rounds = None
    if inputs.thinking is not None and recipe.on_policy is not None:
        arithmetic = inputs.arithmetic
        rounds = Rounds(inputs.thinking, Schedule(recipe.on_policy, arithmetic.global_batch, arithmetic.steps), run)
    trainer = RecoveryTrainer(
        model=model,
        args=arguments,
        processing_class=inputs.spec.tokenizer,
        peft_config=peft_config(recipe.adapter),
        train_dataset=inputs.feed.dataset(filling, loss.columns),
        data_collator=inputs.feed.collator(model, inputs.spec.tokenizer),
        loss=loss,
        guard=Guard(recipe.guard, inputs.prepared.rows, run.folder, run.ranks),
        filling=filling,
        kernels=kernels,
        rounds=rounds,
    )
    quantised.keep_adapter_dtype(trainer, recipe.model)
    trainer.remove_callback(ProgressCallback)
    trainer.remove_callback(PrinterCallback)
    return trainer


def train(trainer: RecoveryTrainer, hooks: Hooks, checkpoint: Path | None) -> None:
    """Trains to the last step, from the start or from a checkpoint; models loaded afterwards are not sharded.

    A run that has finished training does its pending sweeps; its weights are loaded only if one needs them.
    """
    record_config(trainer)
    hooks.install(trainer)
    step = finished_step(trainer, hooks.early_stop, checkpoint) if checkpoint else 0
    with in_training(), fused(trainer.base, trainer.kernels):
        if step and not hooks.sweeps.is_owed(step):
            hooks.sweeps.finish(step)
        else:
            try:
                with hooks.progress.shown(step_of(checkpoint) if checkpoint else 0):
                    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
            except NothingLeftToTrain:
                hooks.sweeps.sweeps.wait()
    unset_hf_deepspeed_config()  # under ZeRO-3 rank 0 would wait for the others to load the export with it
    # DeepSpeed's hooks keep references to weights and optimizer that the garbage collector cannot see; this removes
    # them. Under ZeRO-3 a rank's shards remain, in addition to a full model, as in every sweep during training.
    trainer.accelerator.free_memory()


def finished_step(trainer: RecoveryTrainer, early_stop: EarlyStopHook, checkpoint: Path) -> int:
    """The last step of a run that has finished training or stopped early; 0 if there is more to train."""
    state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    step = int(state["global_step"])
    last = trainer.args.max_steps if trainer.args.max_steps > 0 else int(state["max_steps"])
    return step if step >= last or early_stop.reason(step) else 0
