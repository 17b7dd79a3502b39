"""What a sweep becomes: rows, a table, curves in W&B; and the clock that tells its time from that of training."""

from __future__ import annotations

import time
from dataclasses import dataclass

from eval.numbers.sequences import RUN_ERROR
from eval.numbers.summary import Row, read_rows, rows
from eval.show.tables import sweep_table
from eval.types import SWEEP_KEY, SuiteSweep
from recipes.sweep import VerdictSection
from runtime.ranks import Ranks
from train.hooks.tracking import Tracker
from train.model import References
from train.run_record import RunFolder


@dataclass(frozen=True)
class Cost:
    """Wall seconds of a sweep, and the most memory that it took on rank 0 (0: not measured)."""

    seconds: float = 0.0
    peak_memory_bytes: int = 0


@dataclass(frozen=True)
class SweepRecorder:
    """Turns sweeps into rows, a table in the terminal and curves in W&B; only rank 0 writes and prints."""

    folder: RunFolder
    tracker: Tracker
    references: References
    verdict: VerdictSection
    ranks: Ranks

    def record(self, sweeps: dict[str, SuiteSweep], cost: Cost, error: float = RUN_ERROR) -> None:
        """Rows of all suites; the run's own are compared with both references, at this sweep's share of the error."""
        if self.ranks.rank != 0:
            return
        found: list[Row] = []
        measured = {"seconds": round(cost.seconds, 3), "peak_memory_bytes": cost.peak_memory_bytes or None}
        for name, sweep in sweeps.items():
            of_run = sweep.model == "run"
            unpruned = self.references.unpruned[name] if of_run else None
            pruned = self.references.pruned[name] if of_run else None
            found += [row | measured for row in rows(sweep, unpruned, pruned, self.verdict, error)]
        self.folder.put_rows("sweeps.jsonl", found, SWEEP_KEY)
        model, step = found[0]["model"], found[0]["step"]
        self.tracker.log_sweep(found, step)
        if model == "run":
            table = sweep_table(read_rows(self.folder.path / "sweeps.jsonl"), str(self.verdict.suite))
            print(f"\n{table}\n", flush=True)


class Clock:
    """Seconds of training and of sweeps, and tokens, since the last lap."""

    def __init__(self) -> None:
        self.sweep_seconds = 0.0
        self.tokens = 0
        self.restart()

    def restart(self) -> None:
        self.last = time.perf_counter()

    def lap(self, tokens_so_far: int) -> dict[str, float | int]:
        """`tokens`, `seconds` (without sweeps) and `sweep_seconds` since the last lap."""
        now = time.perf_counter()
        lap = {
            "tokens": tokens_so_far - self.tokens,
            "seconds": round(now - self.last - self.sweep_seconds, 4),
            "sweep_seconds": round(self.sweep_seconds, 4),
        }
        self.last, self.tokens, self.sweep_seconds = now, tokens_so_far, 0.0
        return lap
