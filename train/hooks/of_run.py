"""Makes the hooks of a run and hands them to the trainer in order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from recipes.schema import Recipe
from train.checkpoints import Kept
from train.hooks.checkpoint import CheckpointHook
from train.hooks.early_stop import EarlyStopHook
from train.hooks.guard import GuardHook
from train.hooks.hook import Hook, in_order
from train.hooks.metrics import Clock, MetricsHook
from train.hooks.on_policy import OnPolicyHook
from train.hooks.preemption import PreemptionHook
from train.hooks.progress import ProgressHook
from train.hooks.recorder import SweepRecorder
from train.hooks.report_to import ReportHook, careful_reporters
from train.hooks.saved_sweeps import make_sweeps
from train.hooks.sweep import SweepHook
from train.hooks.sweep_share import within_share
from train.hooks.universal import UniversalHook, reads_universal
from train.inputs import Inputs
from train.outlook import share_of_sweeps, sweep_seconds
from train.speed import speedometer
from train.trainer import RecoveryTrainer


@dataclass(frozen=True)
class Hooks:
    """All hooks of a run; the stages also call the named ones."""

    preemption: PreemptionHook
    sweeps: SweepHook
    early_stop: EarlyStopHook
    progress: ProgressHook
    others: tuple[Hook, ...]

    def install(self, trainer: RecoveryTrainer) -> None:
        """Hands all hooks to the trainer, in their order."""
        for hook in in_order((self.preemption, self.sweeps, self.early_stop, self.progress, *self.others)):
            trainer.add_callback(hook)


def make_hooks(
    trainer: RecoveryTrainer, inputs: Inputs, recipe: Recipe, recorder: SweepRecorder, checkpoint: Path | None
) -> Hooks:
    """Sweeps, metrics, checkpoints, preemption, the guard's state and progress."""
    run, clock, preemption = recorder.run, Clock(), PreemptionHook(recorder.run.ranks)
    made = make_sweeps(trainer, inputs.spec, recipe.sweep, recorder, clock)
    sweeps = SweepHook(within_share(made, run, recorder.looks.last_step, recipe.sweep.max_share), recorder, preemption)
    kept = Kept(recipe.trainer.get("save_total_limit"), recipe.keep_best)
    others: list[Hook] = [
        GuardHook(trainer.guard),
        CheckpointHook(run, kept, sweeps),
        MetricsHook(run, clock, trainer.guard, speedometer(trainer.model, recipe.model.dtype, run.ranks.count)),
    ]
    if trainer.rounds is not None:
        others.append(OnPolicyHook(partial(trainer.rounds.begin, trainer=trainer), preemption))
    if reporters := careful_reporters(trainer):
        others.append(ReportHook(run, reporters, str(recorder.verdict.suite)))
    if checkpoint is not None and reads_universal(checkpoint):
        others.append(UniversalHook(trainer, checkpoint))
    early_stop = EarlyStopHook(recipe.early_stop, run, str(recorder.verdict.suite), sweeps)

    def outlook(step_seconds: float) -> str:
        sweep = sweep_seconds(run.sweep_rows(), recorder.references)
        return share_of_sweeps(recipe.sweep, recorder.looks.last_step, sweep, step_seconds)

    progress = ProgressHook(recorder.looks.last_step, not trainer.args.disable_tqdm, outlook)
    return Hooks(preemption, sweeps, early_stop, progress, tuple(others))
