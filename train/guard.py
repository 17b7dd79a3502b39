"""Guards against a loss that is NaN, infinite or explodes: the run stops before the optimizer step, or skips it.

All ranks judge the loss of a global batch between its last backward pass and the step, so all decide alike and no GPU
waits for the decision. Steps are skipped by DeepSpeed's own mechanism for float16 overflows.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from statistics import median
from typing import Any

import numpy as np
import torch
from accelerate.utils import DeepSpeedEngineWrapper

from data_prep.prepared.store import StoredRows
from recipes.guard import GuardSection
from runtime.files import put_rows
from runtime.ranks import Ranks, from_every_rank, on_first_rank
from runtime.run_folder import RunFolder
from train.exits import Stopped
from train.transfer import Transfer

MOST_IDS = 16
OVERFLOW_CHECKS = ("check_overflow", "_overflow_check_and_loss_scale_update")
"""the overflow checks of ZeRO 1 and 2, and of ZeRO 3, before a step; without ZeRO there is neither"""


class Guard:
    """Judges every optimizer step of one rank; `skipped` counts the skipped steps, including those before a resume."""

    def __init__(self, section: GuardSection, rows: StoredRows, folder: RunFolder, ranks: Ranks) -> None:
        self.section, self.rows, self.folder, self.ranks = section, rows, folder, ranks
        self.good: deque[float] = deque(maxlen=section.window)
        self.batches: list[dict[str, Any]] = []
        self.losses: list[Transfer] = []
        self.leave_out = False
        self.skipped_steps: list[int] = []

    @property
    def skipped(self) -> int:
        return len(self.skipped_steps)

    def state(self) -> dict[str, Any]:
        """The state in a checkpoint, so that a resumed run judges as if it had never stopped."""
        return {"good": list(self.good), "skipped_steps": self.skipped_steps}

    def restore(self, state: dict[str, Any]) -> None:
        """Resumes from the `state` of a checkpoint; {} is a fresh start."""
        self.good.extend(state.get("good", []))
        self.skipped_steps = list(state.get("skipped_steps", []))
        on_first_rank(self.ranks, lambda: self.folder.add_facts({"skipped_steps": self.skipped_steps}))

    def add(self, batch: dict[str, Any], loss: torch.Tensor) -> None:
        """Adds one micro batch of this rank, and its part of the loss, [], on any device."""
        self.batches.append(batch)
        self.losses.append(Transfer(loss))

    def judge_loss(self, step: int) -> None:
        """Called by all ranks after the last backward pass of a step; raises Stopped or sets `leave_out` if it is
        bad."""
        loss = float(np.mean(self.ranks.gather([sum(part.read() for part in self.losses)])))
        usual = median(self.good) if len(self.good) == self.section.window else math.inf
        self.leave_out = False
        if not math.isfinite(loss):
            self._bad(step, f"the loss is {loss}")
        elif loss > self.section.explode_factor * usual:
            self._bad(
                step,
                f"the loss is {loss:.4g}, more than {self.section.explode_factor:g} times the median "
                f"{usual:.4g} (guard.explode_factor)",
            )
        else:
            self.good.append(loss)

    def judge_gradient(self, step: int, norm: float) -> None:
        """Judges the norm, which is the same on all ranks; a step that is skipped already is not judged again."""
        if not math.isfinite(norm) and not self.leave_out:
            self._bad(step, f"the gradient's norm is {norm}")

    def end_step(self) -> None:
        """Ends the step; the next one starts without batches."""
        self.batches, self.losses, self.leave_out = [], [], False

    def _bad(self, step: int, what: str) -> None:
        ids = [trace for of_rank in from_every_rank(self.ranks, self._ids) for trace in of_rank]
        named = f"traces {', '.join(ids[:MOST_IDS])}{f' and {len(ids) - MOST_IDS} more' if len(ids) > MOST_IDS else ''}"
        if self.section.on_bad_loss == "stop" or self.skipped >= self.section.most_skipped:
            raise Stopped(f"step {step}: {what}; {named}\n{self._remedy()}")
        self.leave_out = True
        self.skipped_steps.append(step)
        on_first_rank(self.ranks, lambda: self._record(step, what, ids))

    def _remedy(self) -> str:
        checkpoints = self.folder.complete_checkpoints()
        last = (
            f"the last good checkpoint is {checkpoints[-1]}" if checkpoints else "there is no complete checkpoint yet"
        )
        if self.section.on_bad_loss == "skip":
            return f"{last}; {self.skipped} steps were skipped already (guard.most_skipped)"
        return f"{last}; check these traces, lower the learning rate, or skip such steps: guard.on_bad_loss=skip"

    def _record(self, step: int, what: str, ids: Sequence[str]) -> None:
        self.folder.add_facts({"skipped_steps": self.skipped_steps})
        put_rows(self.folder.skipped, [{"step": step, "why": what, "traces": list(ids)}], ("step",))
        print(f"step {step} is skipped ({self.skipped} so far): {what}", flush=True)

    def _ids(self) -> list[str]:
        """Ids of the traces in this rank's micro batches, found by their tokens."""
        # a filler of the last batch (`train.order`) is a single token that belongs to no trace
        traces = [ids for batch in self.batches for ids in sequences(batch) if len(ids) > 1]
        lengths = self.rows.lengths()
        return [self._id_of(ids, lengths) for ids in traces]

    def _id_of(self, ids: np.ndarray, lengths: np.ndarray) -> str:
        for row in map(int, np.flatnonzero(lengths == len(ids))):
            if np.array_equal(self.rows.ids_and_labels(row)[0], ids):
                return self.rows[row].id
        return "not among the prepared rows"


def sequences(batch: dict[str, Any]) -> list[np.ndarray]:
    """The token ids of each trace of a collated batch, int64 [tokens]: padded rows, or traces packed into one row."""
    rows = batch["input_ids"].cpu().numpy()
    if "position_ids" in batch:  # packed: the mask is only a placeholder (`train.packed_attention`)
        positions = batch["position_ids"].cpu().numpy().reshape(-1)
        return np.split(rows.reshape(-1), np.flatnonzero(positions == 0)[1:])
    return [row[mask] for row, mask in zip(rows, batch["attention_mask"].cpu().numpy().astype(bool), strict=True)]


class GuardedEngine(DeepSpeedEngineWrapper):
    """Accelerate's wrapper of DeepSpeed's engine, which skips a step if the guard says so.

    Accelerate's `backward` includes the optimizer step, so `judge`, which calls the guard, runs between the two.
    """

    def __init__(self, engine: Any, guard: Guard, judge: Callable[[], None]) -> None:
        super().__init__(engine)
        self.guard, self.judge = guard, judge

    def backward(self, loss: Any, sync_gradients: bool = True, **more: Any) -> None:
        self.engine.set_gradient_accumulation_boundary(is_boundary=sync_gradients)
        self.engine.backward(loss, **more)
        if not sync_gradients:
            return
        self.judge()
        left_out = self.guard.leave_out
        stepping: AbstractContextManager[None] = leaving_out(self.engine.optimizer) if left_out else nullcontext()
        with stepping:
            self.engine.step()


@contextmanager
def leaving_out(optimizer: Any) -> Iterator[None]:
    """Within the block, DeepSpeed's optimizer reports an overflow, so it drops its gradients and does not step.

    DeepSpeed has no other way to skip a step. For an optimizer without such a check, the step is replaced by one
    that does nothing.
    """

    def overflows(*args: Any, **kwargs: Any) -> bool:
        optimizer.overflow = True
        return True

    checks = [name for name in OVERFLOW_CHECKS if hasattr(optimizer, name)]
    changed: dict[str, Any] = dict.fromkeys(checks, overflows) or {"step": lambda *args, **kwargs: None}
    changed["check_grad_overflow"] = True
    attributes = vars(optimizer)
    before = {name: attributes[name] for name in changed if name in attributes}
    attributes.update(changed)
    try:
        yield
    finally:
        for name in changed:
            del attributes[name]
        attributes.update(before)
