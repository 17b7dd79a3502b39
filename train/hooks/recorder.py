"""Records sweeps: rows, a line in the terminal, and curves in the tracker."""

from __future__ import annotations

from dataclasses import dataclass

from eval.numbers.sequences import sweep_error
from eval.numbers.summary import Row, sweep_rows
from eval.show.lines import sweep_line
from eval.types import SWEEP_KEY, SuiteSweep
from recipes.sweep import VerdictSection
from runtime.files import put_rows
from train.live_report import LiveReport
from train.references import References
from train.run import Run


@dataclass(frozen=True)
class Cost:
    """Wall seconds of a sweep, its peak memory and its seconds per decoded token on rank 0 (None if not measured)."""

    seconds: float | None = None
    peak_memory_bytes: int | None = None
    seconds_per_token: float | None = None


@dataclass(frozen=True)
class Looks:
    """When a run is swept: every N steps and after the last one. The run's error is shared among these sweeps."""

    every_steps: int
    last_step: int

    def is_due(self, step: int) -> bool:
        return step > 0 and (step % self.every_steps == 0 or step >= self.last_step)

    def error_at(self, step: int) -> float:
        """The share of the run's error that the sweep at `step` may spend (`eval.numbers.sequences`)."""
        return sweep_error(step, self.every_steps, self.last_step)


@dataclass(frozen=True)
class SweepRecorder:
    """Turns sweeps into rows, a line in the terminal and curves; only rank 0 writes and prints."""

    run: Run
    references: References
    verdict: VerdictSection
    looks: Looks
    live: LiveReport | None = None

    def record(self, sweeps: dict[str, SuiteSweep], cost: Cost) -> None:
        """Records rows of all suites. The run's rows are compared with both references, at this sweep's share of the
        error."""
        if not self.run.is_first_rank:
            return
        measured = {
            "seconds": None if cost.seconds is None else round(cost.seconds, 3),
            "peak_memory_bytes": cost.peak_memory_bytes,
            "seconds_per_token": cost.seconds_per_token,
        }
        new = [row | measured for name, sweep in sweeps.items() for row in self._rows(name, sweep)]
        put_rows(self.run.folder.sweeps, new, SWEEP_KEY)
        self.run.tracker.log_sweep(new, new[0]["step"])
        if new[0]["model"] == "run":
            print(sweep_line(self.run.sweep_rows(new[0]["step"]), str(self.verdict.suite)), flush=True)
        if self.live is not None:
            self.live.renew()

    def _rows(self, suite: str, sweep: SuiteSweep) -> list[Row]:
        if sweep.model != "run":
            return sweep_rows(sweep, None, None, self.verdict)
        unpruned, pruned = self.references.unpruned[suite], self.references.pruned[suite]
        return sweep_rows(sweep, unpruned, pruned, self.verdict, self.looks.error_at(sweep.step))
