"""A loss that is no number, or explodes: the run stops before the optimizer step, or leaves that step out.

The loss of a global batch is known to all ranks before its last backward pass, so all decide alike. DeepSpeed steps
inside the backward pass and has a way of its own to leave a step out (made for overflows of float16), which is used.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import numpy as np
from transformers import TrainerCallback, TrainerControl, TrainerState
from transformers import TrainingArguments as Args

from data_prep.prepared.store import StoredRows
from recipes.guard import GuardSection
from runtime.ranks import Ranks, on_first_rank
from train.exits import Stopped
from train.hooks.recorder import SweepRecorder
from train.run_record import RunFolder

MOST_IDS = 16


class Guard:
    """Judges every optimizer step of one rank; `skipped` counts the steps left out, those before a resume included."""

    def __init__(self, section: GuardSection, rows: StoredRows, folder: RunFolder, ranks: Ranks) -> None:
        self.section, self.rows, self.folder, self.ranks = section, rows, folder, ranks
        self.good: deque[float] = deque(maxlen=section.window)
        self.batches: list[dict[str, Any]] = []
        self.losses: list[float] = []
        self.leave_out = False
        self.skipped_steps: list[int] = []

    @property
    def skipped(self) -> int:
        return len(self.skipped_steps)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps, so that a run that goes on judges as if it had never been stopped."""
        return {"good": list(self.good), "skipped_steps": self.skipped_steps}

    def begin(self, state: dict[str, Any]) -> None:
        """Goes on from the `state` of a checkpoint; {} is a fresh start."""
        self.good.extend(state.get("good", []))
        self.skipped_steps = list(state.get("skipped_steps", []))
        on_first_rank(self.ranks, lambda: self.folder.add_facts({"skipped_steps": self.skipped_steps}))

    def add(self, batch: dict[str, Any], loss: float) -> None:
        """One micro batch of this rank, and its part of the loss."""
        self.batches.append(batch)
        self.losses.append(loss)

    def judge_loss(self, step: int) -> None:
        """Called by all ranks when the last micro batch of a step is added. Stopped, or `leave_out` is set."""
        loss = float(np.mean(self.ranks.gather([sum(self.losses)])))
        usual = median(self.good) if len(self.good) == self.section.window else math.inf
        self.leave_out = False
        if not math.isfinite(loss):
            self._bad(step, f"the loss is {loss}")
        elif loss > self.section.explode_factor * usual:
            self._bad(
                step,
                f"the loss is {loss:.4g}, more than {self.section.explode_factor:g} times the usual "
                f"{usual:.4g} (guard.explode_factor)",
            )
        else:
            self.good.append(loss)

    def judge_gradient(self, step: int, norm: float) -> None:
        """The norm that all ranks have; a step that is left out already is not judged again."""
        if not math.isfinite(norm) and not self.leave_out:
            self._bad(step, f"the gradient's norm is {norm}")

    def over(self) -> None:
        """The step is done."""
        self.batches, self.losses, self.leave_out = [], [], False

    def _bad(self, step: int, what: str) -> None:
        ids = self.ranks.gather(self._ids())
        named = f"traces {', '.join(ids[:MOST_IDS])}{f' and {len(ids) - MOST_IDS} more' if len(ids) > MOST_IDS else ''}"
        if self.section.on_bad_loss == "stop" or self.skipped >= self.section.most_skipped:
            raise Stopped(f"step {step}: {what}; {named}\n{self._remedy()}")
        self.leave_out = True
        self.skipped_steps.append(step)
        on_first_rank(self.ranks, lambda: self._record(step, what, ids))

    def _remedy(self) -> str:
        whole = self.folder.complete_checkpoints()
        last = f"the last good checkpoint is {whole[-1]}" if whole else "there is no complete checkpoint yet"
        if self.section.on_bad_loss == "skip":
            return f"{last}; {self.skipped} steps were skipped already (guard.most_skipped)"
        return f"{last}; look at these traces, lower the learning rate, or leave such steps out: guard.on_bad_loss=skip"

    def _record(self, step: int, what: str, ids: Sequence[str]) -> None:
        self.folder.add_facts({"skipped_steps": self.skipped_steps})
        self.folder.put_rows("skipped.jsonl", [{"step": step, "why": what, "traces": list(ids)}], ("step",))
        print(f"step {step} is skipped ({self.skipped} so far): {what}", flush=True)

    def _ids(self) -> list[str]:
        """Ids of the traces in this rank's micro batches, found by their tokens."""
        wanted = [ids for batch in self.batches for ids in sequences(batch) if len(ids) > 1]  # a filler is one token
        lengths, found = self.rows.lengths(), []
        for ids in wanted:
            same = (
                int(i)
                for i in np.flatnonzero(lengths == len(ids))
                if np.array_equal(self.rows.ids_and_labels(int(i))[0], ids)
            )
            found.append(next((self.rows[i].id for i in same), "not among the prepared rows"))
        return found


class GuardCallback(TrainerCallback):
    """Keeps the guard's state in the Trainer's, which every checkpoint holds."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard

    def on_train_begin(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        kept: Any = state.stateful_callbacks  # a dictionary by now, whatever its annotation says
        self.guard.begin(kept.get("guard", {}))

    def on_step_end(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        kept: Any = state.stateful_callbacks
        kept["guard"] = self.guard.state()


def sequences(batch: dict[str, Any]) -> list[np.ndarray]:
    """The token ids of each trace of a collated batch, int64 [tokens]: padded rows, or traces packed into one row."""
    rows = batch["input_ids"].cpu().numpy()
    if "position_ids" in batch:  # packed, where a mask is only a placeholder (`train.packed_attention`)
        positions = batch["position_ids"].cpu().numpy().reshape(-1)
        return np.split(rows.reshape(-1), np.flatnonzero(positions == 0)[1:])
    return [row[mask] for row, mask in zip(rows, batch["attention_mask"].cpu().numpy().astype(bool), strict=True)]


def guard_over(trainer: Any, section: GuardSection, rows: StoredRows, recorder: SweepRecorder) -> Guard:
    """Has every step of the trainer judged."""
    guard = Guard(section, rows, recorder.folder, recorder.ranks)
    trainer.add_callback(GuardCallback(guard))
    trainer.compute_loss = _judging_losses(trainer, guard, trainer.compute_loss)
    trainer._get_grad_norm = _judging_gradients(trainer, guard, trainer._get_grad_norm)
    return guard


def _judging_losses(trainer: Any, guard: Guard, compute: Callable[..., Any]) -> Callable[..., Any]:
    def compute_loss(model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        loss = compute(model, inputs, *args, **kwargs)
        if not model.training:
            return loss
        guard.add(inputs, float((loss[0] if isinstance(loss, tuple) else loss).detach()))
        if trainer.accelerator.sync_gradients:
            guard.judge_loss(trainer.state.global_step + 1)
            if trainer.is_deepspeed_enabled:
                _let_deepspeed_skip(trainer.deepspeed, guard)
        return loss

    return compute_loss


def _judging_gradients(trainer: Any, guard: Guard, norm_of: Callable[..., Any]) -> Callable[..., Any]:
    def get_grad_norm(model: Any, grad_norm: Any = None) -> Any:
        norm = norm_of(model, grad_norm)
        if norm is not None:
            guard.judge_gradient(trainer.state.global_step + 1, float(norm))
        if guard.leave_out and not trainer.is_deepspeed_enabled:
            trainer.optimizer.zero_grad(set_to_none=True)  # an optimizer leaves out what has no gradient
        guard.over()
        return norm

    return get_grad_norm


def _let_deepspeed_skip(engine: Any, guard: Guard) -> None:
    """Has the next step of DeepSpeed's optimizer leave itself out where the guard says so; put in place once.

    ZeRO 1 and 2 ask `check_overflow`, ZeRO 3 its own check; without ZeRO there is nothing but not to step.
    """
    optimizer = engine.optimizer
    if getattr(optimizer, "_chainmend_guarded", False):
        return
    optimizer._chainmend_guarded = True
    step = optimizer.step
    forced = {
        name: getattr(optimizer, name)
        for name in ("check_overflow", "_overflow_check_and_loss_scale_update")
        if hasattr(optimizer, name)
    }

    def overflows(*args: Any, **kwargs: Any) -> bool:
        optimizer.overflow = True
        return True

    def guarded_step(*args: Any, **kwargs: Any) -> Any:
        if not guard.leave_out:
            return step(*args, **kwargs)
        if not forced:
            return None
        checks = getattr(optimizer, "check_grad_overflow", None)
        for name in forced:
            setattr(optimizer, name, overflows)
        optimizer.check_grad_overflow = True
        try:
            return step(*args, **kwargs)
        finally:
            optimizer.check_grad_overflow = checks
            for name, own in forced.items():
                setattr(optimizer, name, own)

    optimizer.step = guarded_step


def finite_or_none(value: float) -> float | None:
    """JSON knows no NaN and no infinity."""
    return value if isinstance(value, int) or math.isfinite(value) else None
