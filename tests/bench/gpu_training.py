"""Training on a GPU against bare TRL: `python -m tests.bench.gpu_training SECONDS [quick]` prints rows of JSON.

Random Qwen3 shapes (`tests.bench.gpu_worlds`), bfloat16, packed rows of 8,192 tokens, micro batch 1 x 2, ZeRO-2, one
rank. The rival is TRL's SFTTrainer on the same model and traces, packed, with the same checkpointing, with and without
Liger, whichever is faster. Launches go in turns; medians of the rounds that fit into the time. Tokens are real ones.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.gpu_launch import Launched, LaunchFailedError, ours, planned_bytes, theirs
from tests.bench.gpu_rows import GIBIBYTE, Deadline, Row, not_measured, print_rows, row
from tests.bench.gpu_worlds import SHAPES, World, world_of

STEPS, BUSY_STEP = 8, 6
ROUNDS = 3
LEAST_SECONDS = 45
"""less than that is left: the case is not begun"""
MARGIN = 1.2
"""another round is begun where so many times the longest one is left"""
PLAN_SECONDS = 60.0
PLAN_TARGET = "0.9 … 1.1"


@dataclass(frozen=True)
class Case:
    """A run that is compared; targets on one H100, 0 where there is none. busy: whether a step is profiled."""

    shape: str
    method: str
    checkpointing: bool
    target: int = 0
    ratio_target: float = 0.0
    busy: bool = False

    @property
    def name(self) -> str:
        kind = "LoRA r 64" if self.method == "lora" else "full"
        return f"{self.shape} {kind}, {'with' if self.checkpointing else 'without'} checkpointing"

    @property
    def keys(self) -> list[str]:
        adapter = ["adapter.method=lora", "adapter.r=64", "adapter.alpha=64"] if self.method == "lora" else []
        return [
            f"trainer.gradient_checkpointing={str(self.checkpointing).lower()}",
            f"trainer.max_steps={STEPS}",
            *adapter,
        ]


CASES = (
    Case("0.6B", "full", True, 28_000, 2.0),
    Case("0.6B", "full", False, 40_000, 2.0),
    Case("1.7B", "full", True, 18_000, busy=True),
    Case("8B", "lora", True, 9_000, 1.3),
)
QUICK = CASES[:1]
LIGER = (True, False)


def run(seconds: float, cases: Sequence[Case] = CASES, root: Path | None = None) -> Iterator[Row]:
    """The rows of all cases, as they come; each case has its share of what is left of the time."""
    deadline = Deadline(seconds)
    with tempfile.TemporaryDirectory() as name:
        for place, case in enumerate(cases):
            share = Deadline(deadline.left / (len(cases) - place))
            if share.left < LEAST_SECONDS:
                yield not_measured(f"training {case.name}", "no time was left for it")
                continue
            try:
                yield from rows_of(case, world_of(case.shape, root or Path(name)), share)
            except (LaunchFailedError, SystemExit) as fault:
                yield not_measured(f"training {case.name}", str(fault))


def rows_of(case: Case, world: World, deadline: Deadline) -> Iterator[Row]:
    """One round at least; more as long as another of the same length fits."""
    rounds: list[tuple[Launched, Launched | None]] = []
    longest = 0.0
    while len(rounds) < ROUNDS and (not rounds or deadline.left > MARGIN * longest):
        before = deadline.left
        rounds.append(
            (ours(world, case.keys, deadline.left, BUSY_STEP if case.busy else 0), _best(case, world, deadline))
        )
        longest = max(longest, before - deadline.left)
    mine, rivals = [own for own, _ in rounds], [rival for _, rival in rounds if rival is not None]
    yield from speed_and_memory(case, mine, rivals)
    if case.busy and mine[0].busy is not None:
        yield row(
            f"GPU busy in a step, {case.name}", statistics.median(one.busy or 0 for one in mine), "", "at least 0.85"
        )
    yield plan_row(case.name, world, case.keys, mine[0])


def _best(case: Case, world: World, deadline: Deadline) -> Launched | None:
    """The rival at the faster of its two settings; None where neither runs (Liger may not be installed)."""
    job = {
        "model": str(world.model),
        "method": case.method,
        "steps": STEPS,
        "row_tokens": SHAPES[case.shape].row_tokens,
        "checkpointing": case.checkpointing,
    }
    found = []
    for liger in LIGER:
        try:
            found.append(theirs(world, {**job, "liger": liger}, deadline.left))
        except LaunchFailedError as fault:
            print(f"TRL {'with' if liger else 'without'} Liger, {case.name}: {fault}", file=sys.stderr, flush=True)
    return max(found, key=lambda one: one.tokens_per_second, default=None)


def speed_and_memory(case: Case, mine: Sequence[Launched], rivals: Sequence[Launched]) -> Iterator[Row]:
    """Medians of speed and of the device's peak, beside the rival's."""

    def median(some: Sequence[Launched], what: str) -> float | None:
        return float(statistics.median(getattr(one, what) for one in some)) if some else None

    speed, rival = median(mine, "tokens_per_second") or 0.0, median(rivals, "tokens_per_second")
    yield row(f"training {case.name}", speed, "tokens/s", f"at least {case.target:,}" if case.target else None, rival)
    if rival and case.ratio_target:
        yield row(f"training {case.name}, of bare TRL", speed / rival, "×", f"at least {case.ratio_target}")
    device, of_rival = median(mine, "device") or 0.0, median(rivals, "device")
    target = f"at most {of_rival / GIBIBYTE:.1f}" if of_rival else None
    yield row(f"peak memory {case.name}", device / GIBIBYTE, "GiB", target, of_rival and of_rival / GIBIBYTE)


def plan_row(name: str, world: World, keys: Sequence[str], seen: Launched) -> Row:
    """The plan over what torch reserved and what the device showed beyond it."""
    measured = seen.reserved + seen.context
    try:
        planned = planned_bytes(world, keys, PLAN_SECONDS)
    except LaunchFailedError as fault:
        return not_measured(f"plan of {name}", str(fault))
    sizes = f"planned {planned / GIBIBYTE:.2f} GiB; reserved {seen.reserved / GIBIBYTE:.2f}"
    note = f"{sizes}, context {seen.context / GIBIBYTE:.2f}"
    return {**row(f"plan of {name}", planned / measured if measured else 0.0, "×", PLAN_TARGET), "note": note}


if __name__ == "__main__":
    print_rows(run(float(sys.argv[1]), QUICK if "quick" in sys.argv else CASES))
