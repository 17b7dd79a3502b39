"""Limits sweeps to a share of the time (`sweep.max_share`): a due sweep that would exceed it is skipped.

Which sweeps are skipped depends on the clock, so such a run is not reproducible; run.json records the skipped steps.
"""

from __future__ import annotations

import time

from eval.numbers.summary import totals
from runtime.files import read_rows
from runtime.ranks import on_first_rank
from train.hooks.sweep import Sweeps
from train.run import Run

FACT = "sweeps_left_out"


def would_exceed(spent: float, sweeps: int, wall: float, share: float) -> bool:
    """Whether one more sweep, of average duration, would bring the sweeps' time above `share` of the total.

    spent: seconds of the `sweeps` so far; wall: all seconds so far, including those.
    """
    expected = spent / sweeps
    return spent + expected > share * (wall + expected)


class SweepsWithinShare(Sweeps):
    """Always does the first and the last sweep, and others if there is time for them.

    Rank 0 decides by its own clock; in a resumed run it continues from the seconds in the run record.
    """

    def __init__(self, sweeps: Sweeps, run: Run, last_step: int, share: float) -> None:
        self.sweeps, self.run, self.last_step, self.share = sweeps, run, last_step, share
        self.done, self.spent, self.wall_before, self.began = 0, 0.0, 0.0, time.perf_counter()

    def begin(self, step: int) -> None:
        before = totals([row for row in read_rows(self.run.folder.metrics) if row["step"] <= step])
        self.done = len({row["step"] for row in self.run.sweep_rows(step) if row["model"] == "run"})
        self.spent = before.get("sweep_seconds", 0.0)
        self.wall_before = before.get("seconds", 0.0) + self.spent
        self.began = time.perf_counter()
        on_first_rank(self.run.ranks, lambda: self._note([left for left in self._left_out() if left <= step]))
        self.sweeps.begin(step)

    def poll(self) -> None:
        self.sweeps.poll()

    def sweep(self, step: int) -> None:
        """Sweeps, or prints why not."""
        must = self.done == 0 or step >= self.last_step
        if on_first_rank(self.run.ranks, lambda: not must and self._leave_out(step)):
            return
        started = time.perf_counter()
        self.sweeps.sweep(step)
        self.spent += time.perf_counter() - started
        self.done += 1

    def wait(self) -> None:
        self.sweeps.wait()

    def leave(self) -> None:
        self.sweeps.leave()

    def has(self, step: int) -> bool:
        """Whether no sweep of this step is pending: it is in the backlog, or was skipped. On rank 0."""
        return step in self._left_out() or self.sweeps.has(step)

    def _leave_out(self, step: int) -> bool:
        """Whether this sweep is skipped; if so, counts and prints it. On rank 0."""
        wall = self.wall_before + time.perf_counter() - self.began
        if not would_exceed(self.spent, self.done, wall, self.share):
            return False
        self._note([*self._left_out(), step])
        print(
            f"step {step}: sweep skipped, since sweeps would take more than sweep.max_share={self.share:g} of the time "
            f"({self.spent:.0f} of {wall:.0f} s so far)",
            flush=True,
        )
        return True

    def _left_out(self) -> list[int]:
        steps: list[int] = self.run.folder.facts().get(FACT, {}).get("steps", [])
        return steps

    def _note(self, steps: list[int]) -> None:
        self.run.folder.add_facts({FACT: {"max_share": self.share, "steps": steps}})


def within_share(sweeps: Sweeps, run: Run, last_step: int, share: float | None) -> Sweeps:
    """`sweeps`, limited to `share` of the time if one is given."""
    return sweeps if share is None else SweepsWithinShare(sweeps, run, last_step, share)
