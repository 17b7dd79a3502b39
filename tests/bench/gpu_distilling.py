"""A distilling step on a GPU against a plain one: `python -m tests.bench.gpu_distilling SECONDS [quick]` prints rows.

The worlds of `tests.bench.gpu_training`; launches go in turns, medians of the rounds that fit. The teacher is whole and
on the device: memory is held against the plain run's and the teacher's weights.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.bench.gpu_launch import Launched, LaunchFailedError, ours
from tests.bench.gpu_rows import GIBIBYTE, Deadline, Row, not_measured, print_rows, row
from tests.bench.gpu_training import CASES, LEAST_SECONDS, MARGIN, QUICK, ROUNDS, Case, plan_row
from tests.bench.gpu_worlds import World, world_of

TAUGHT = ["loss.name=distill"]
MOST_TIME, MOST_MEMORY = 1.4, 1.05
DISTILLED = (CASES[0], CASES[2], CASES[3])  # with checkpointing, as a run of these sizes has it


def run(seconds: float, cases: Sequence[Case] = DISTILLED, root: Path | None = None) -> Iterator[Row]:
    """The rows of all cases, as they come; each case has its share of what is left of the time."""
    deadline = Deadline(seconds)
    with tempfile.TemporaryDirectory() as name:
        for place, case in enumerate(cases):
            share = Deadline(deadline.left / (len(cases) - place))
            if share.left < LEAST_SECONDS:
                yield not_measured(f"distilling {case.name}", "no time was left for it")
                continue
            try:
                yield from rows_of(case, world_of(case.shape, root or Path(name)), share)
            except (LaunchFailedError, SystemExit) as fault:
                yield not_measured(f"distilling {case.name}", str(fault))


def rows_of(case: Case, world: World, deadline: Deadline) -> Iterator[Row]:
    rounds: list[tuple[Launched, Launched]] = []
    longest = 0.0
    while len(rounds) < ROUNDS and (not rounds or deadline.left > MARGIN * longest):
        before = deadline.left
        rounds.append((ours(world, case.keys, deadline.left), ours(world, [*case.keys, *TAUGHT], deadline.left)))
        longest = max(longest, before - deadline.left)
    yield from time_and_memory(case, rounds, weight_bytes(world))
    yield plan_row(f"distilling {case.name}", world, [*case.keys, *TAUGHT], rounds[0][1])


def weight_bytes(world: World) -> int:
    """Of the teacher, in the dtype of the run, which is that of the file."""
    return sum(file.stat().st_size for file in world.model.glob("*.safetensors"))


def time_and_memory(case: Case, rounds: Sequence[tuple[Launched, Launched]], teacher: int) -> Iterator[Row]:
    """Medians of both, and of a distilling step over a plain one. Every pair of a round ran at nearly the same time."""
    ratios = [plain.tokens_per_second / taught.tokens_per_second for plain, taught in rounds]
    speeds = [statistics.median(each.tokens_per_second for each in some) for some in zip(*rounds, strict=True)]
    yield row(f"distilling {case.name}", speeds[1], "tokens/s", None, speeds[0])
    yield row(f"a distilling step of a plain one, {case.name}", statistics.median(ratios), "×", f"at most {MOST_TIME}")
    plain, taught = (statistics.median(each.device for each in some) for some in zip(*rounds, strict=True))
    allowed = MOST_MEMORY * (plain + teacher)
    target = f"at most {allowed / GIBIBYTE:.1f}"
    yield row(f"peak memory distilling {case.name}", taught / GIBIBYTE, "GiB", target, plain / GIBIBYTE)


if __name__ == "__main__":
    print_rows(run(float(sys.argv[1]), QUICK if "quick" in sys.argv else DISTILLED))
