"""Sweeps that keep to a share of the time (`sweep.max_share`): a due one is left out where it would take more.

What is left out depends on the clock, so such a run is not the same twice; which ones were is kept in run.json.
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
    """Whether one more sweep would bring their time over `share` of the whole, if it takes the mean of those before.

    spent: seconds of the `sweeps` so far; wall: all seconds so far, theirs too.
    """
    expected = spent / sweeps
    return spent + expected > share * (wall + expected)


class SweepsWithinShare(Sweeps):
    """Sweeps of which the first and the last are always done, and others where there is time for them.

    Rank 0 decides, by its own clock, which goes on from the seconds in the record of a run that is resumed.
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
        """One sweep, or a line that says why there is none."""
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
        """Whether nothing is owed for this step: it is in the works, or was left out. On rank 0."""
        return step in self._left_out() or self.sweeps.has(step)

    def _leave_out(self, step: int) -> bool:
        """Whether this sweep is left out; counted and said where it is. On rank 0."""
        wall = self.wall_before + time.perf_counter() - self.began
        if not would_exceed(self.spent, self.done, wall, self.share):
            return False
        self._note([*self._left_out(), step])
        print(
            f"step {step}: no sweep; with it they would take more than sweep.max_share={self.share:g} of the time "
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
    """The sweeps themselves where no share is given."""
    return sweeps if share is None else SweepsWithinShare(sweeps, run, last_step, share)
