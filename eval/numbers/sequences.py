"""Many looks at one run: intervals that hold for all of its sweeps at once, so that repeated looks do not inflate
false positives.

A run is judged every N steps on the same problems. Each verdict alone errs in at most 5 % of runs; forty of them, taken
as they come, err far more often. So the 5 % belong to the run and are divided before it starts: the last sweep has
one half, and the sweeps before it share the other half equally (error spending: Lan and DeMets 1983, Discrete
sequential boundaries for clinical trials). By the union bound, the probability that any interval of one statement
misses at any sweep is at most 5 %, however the sweeps depend on each other, whenever one stops, and whichever sweep is
quoted.
docs/statistics.md has the assumptions, the cost, and measurements.
"""

from __future__ import annotations

from eval.numbers.statistics import ERROR

RUN_ERROR = ERROR  # of all sweeps of one run together, and of a sweep that is judged alone
LAST_ERROR = 0.025  # of the last sweep; the sweeps before it share as much


def sweep_error(step: int, every_steps: int, max_steps: int) -> float:
    """The error share of the sweep after `step` in a run that sweeps every `every_steps` and after `max_steps`.

    It depends only on the schedule and the step, so a resumed run gives every sweep the same share.
    """
    before_last = (max_steps - 1) // every_steps
    if before_last == 0:
        return RUN_ERROR
    return LAST_ERROR if step >= max_steps else (RUN_ERROR - LAST_ERROR) / before_last


def interval_name(error: float) -> str:
    """An interval's name for readers: `95 % interval`, or that it holds over all sweeps of a run."""
    name = f"{100 * (1 - error):.4g} % interval"
    return name if error >= RUN_ERROR else f"{name}, simultaneous over all sweeps of the run"
