"""What the verdict says of models whose truth is known, beside the rule of earlier versions; a part of
`python -m tests.bench.coverage`.

Curves of the published Qwen3-8B (MATH-500, AIME24, GPQA; two or three layers removed) and of the embedded world, runs
that recovered a share of the loss at every budget, and runs made to be hard: as good as the unpruned model everywhere
but less steep, flat, steeper but ruined, thinking longer for the same. Thoughts are simulated as
`eval.numbers.foresight` says.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np

from eval.numbers.contrasts import bounds, contrast
from eval.numbers.decide import decide
from eval.numbers.foresight import simulated
from eval.numbers.gains import gain_per_doubling, slope_scale
from eval.numbers.retention import Paired, claims, measure, word_of
from eval.numbers.sequences import RUN_ERROR, sweep_error
from eval.numbers.statements import ProblemRange
from eval.numbers.statistics import Array
from recipes.sweep import VerdictSection

SECTION = VerdictSection()
BUDGETS = (512, 1024, 2048, 4096, 8192)
SIZES = ((30, 1), (30, 16), (100, 1), (100, 4), (500, 1), (500, 4))
SHORT = {
    "RETURNED": "R",
    "PARTIAL": "P",
    "NOT RETURNED": "N",
    "UNDECIDED": "U",
    "NOTHING LOST": "L",
    "NO SCALING HERE": "S",
}
Curve = tuple[float, ...]
MATH, MATH_1 = (0.875, 0.9, 0.92, 0.94, 0.96), (0.81, 0.84, 0.87, 0.895, 0.915)
MATH_2, MATH_3 = (0.75, 0.76, 0.77, 0.78, 0.785), (0.34, 0.365, 0.39, 0.41, 0.435)
AIME, AIME_2 = (0.5, 0.49, 0.52, 0.56, 0.6), (0.09, 0.1, 0.1, 0.12, 0.15)
GPQA, GPQA_2 = (0.45, 0.48, 0.51, 0.54, 0.57), (0.33, 0.34, 0.35, 0.355, 0.36)
NANO, NANO_2 = (0.2, 0.33, 0.55, 0.8, 0.88), (0.15, 0.16, 0.17, 0.18, 0.18)
STEEP, STEEP_CUT = (0.23, 0.5, 0.75, 0.9, 0.995), (0.2, 0.22, 0.23, 0.24, 0.25)


@dataclass(frozen=True)
class World:
    """The true accuracies of three models by budget."""

    run: Curve
    unpruned: Curve
    pruned: Curve


def recovered(share: float, unpruned: Curve, pruned: Curve) -> World:
    """A run that has `share` of the loss back at every budget."""
    run = tuple(p + share * (u - p) for u, p in zip(unpruned, pruned, strict=True))
    return World(run, unpruned, pruned)


def on_both_lines(unpruned: Curve, pruned: Curve, budget: int) -> World:
    """Not RETURNED by as little as can be: as short as the rule allows at one budget, and exactly 0.8 of the gain."""
    weights = gain_per_doubling(np.eye(len(BUDGETS)), BUDGETS)
    run = np.array(unpruned)
    fifth = (1 - SECTION.returned_share) * math.log2(BUDGETS[-1] / BUDGETS[0]) * float(weights @ run)
    run[budget] -= max(SECTION.delta, fifth)
    others = np.array([k for k in range(len(BUDGETS)) if k != budget])
    excess = weights @ run - 0.8 * (weights @ np.array(unpruned))
    run[others] -= excess * weights[others] / (weights[others] @ weights[others])
    return World(tuple(run), unpruned, pruned)


WORLDS = {
    "untrained, MATH-500 -1": World(MATH_1, MATH, MATH_1),
    "untrained, MATH-500 -2": World(MATH_2, MATH, MATH_2),
    "untrained, MATH-500 -3": World(MATH_3, MATH, MATH_3),
    "untrained, embedded": World(NANO_2, NANO, NANO_2),
    **{
        f"{share:g} back, {name}": recovered(share, unpruned, pruned)
        for share in (0.5, 0.7, 0.85, 1.0)
        for name, unpruned, pruned in (
            ("MATH-500 -2", MATH, MATH_2),
            ("MATH-500 -3", MATH, MATH_3),
            ("AIME24 -2", AIME, AIME_2),
            ("GPQA -2", GPQA, GPQA_2),
            ("embedded", NANO, NANO_2),
        )
    },
    "at its ceiling at once": World((0.97, 0.98, 0.985, 0.99, 0.995), STEEP, STEEP_CUT),
    "shorter thoughts": World((0.7, 0.9, 0.97, 0.99, 0.995), STEEP, STEEP_CUT),
    "0.03 better, MATH-500 -2": World((0.93, 0.95, 0.96, 0.97, 0.98), MATH, MATH_2),
    "flat .93, MATH-500 -3": World((0.93,) * 5, MATH, MATH_3),
    "ruined but steep": World((0.0, 0.1, 0.2, 0.3, 0.4), (0.8, 0.83, 0.86, 0.89, 0.92), (0.5, 0.52, 0.54, 0.56, 0.58)),
    "needs twice the tokens": World((0.05, 0.2, 0.33, 0.55, 0.8), NANO, NANO_2),
    "unpruned flat": World((0.75,) * 5, (0.95,) * 5, (0.5,) * 5),
    "unpruned .94 to .96": World((0.6, 0.7, 0.8, 0.9, 0.96), (0.94, 0.945, 0.95, 0.955, 0.96), (0.5,) * 5),
}
NOT_YET = {
    "0.8 back, MATH-500 -2": recovered(0.8, MATH, MATH_2),
    "0.8 back, MATH-500 -3": recovered(0.8, MATH, MATH_3),
    "0.8 back, embedded": recovered(0.8, NANO, NANO_2),
    "level on the line": World((0.9, 0.92, 0.925, 0.925, 0.925), MATH, MATH_2),
    "gain and shortfall, MATH-500": on_both_lines(MATH, MATH_3, 2),
    "gain and shortfall, AIME24": on_both_lines(AIME, AIME_2, 3),
    "gain and shortfall, embedded": on_both_lines(NANO, NANO_2, 3),
    "flat, a fifth below the top": World((0.943,) * 5, MATH, MATH_3),
}
"""runs that have not returned, by as little as can be"""
CORNERS = ("gain and shortfall, MATH-500", "gain and shortfall, embedded")
ON_THE_LINE = ((30, 4), (100, 1), (100, 4), (500, 1), (500, 4))
UNDECIDED = (
    "untrained, MATH-500 -2",
    "untrained, MATH-500 -3",
    "0.5 back, MATH-500 -3",
    "0.5 back, GPQA -2",
    "0.85 back, AIME24 -2",
    "1 back, MATH-500 -2",
    "1 back, GPQA -2",
)
"""truths whose sweeps of 100 problems are often UNDECIDED"""


@dataclass(frozen=True)
class Alike:
    """How alike the problems in groups of 20 are: `likeness` of their hardness is shared. Where they are `named`, the
    verdict is told which belong together."""

    likeness: float = 0.0
    named: bool = False

    def hardness(self, problems: int, generator: np.random.Generator) -> Array:
        """What is a problem's own, [problems, 1]."""
        own, shared = (generator.standard_normal((count, 1)) for count in (problems, -(-problems // 20)))
        in_groups = shared.repeat(20, axis=0)[:problems]
        return math.sqrt(self.likeness) * in_groups + math.sqrt(1 - self.likeness) * own

    def groups(self, problems: int) -> list[str] | None:
        return [f"{index // 20:05}" for index in range(problems)] if self.named else None


UNLIKE = Alike()


def simulate(world: World, size: tuple[int, int], generator: np.random.Generator, alike: Alike = UNLIKE) -> Paired:
    """Sweeps of `size` (problems, thoughts) by models of `world`."""
    own = alike.hardness(size[0], generator)
    run, unpruned, pruned = simulated([world.run, world.unpruned, world.pruned], size[1], generator, own)
    return Paired(run, unpruned, pruned, BUDGETS).grouped(alike.groups(size[0]))


def word(models: Paired, error: float = RUN_ERROR) -> str:
    """What the verdict says."""
    return word_of(claims(measure(models, SECTION, error), SECTION))


def may_be_returned(models: Paired, error: float) -> bool:
    """Whether the level is kept, which RETURNED needs: one interval of the fifteen, and mostly the one that is not
    there where a run has not returned."""
    loss, better = (each[:, -1] - models.pruned[:, -1] for each in (models.unpruned, models.run))
    return contrast(better - SECTION.returned_share * loss, 1.0, error).low > 0


def earlier_word(models: Paired, error: float = RUN_ERROR) -> str:
    """What the rule of earlier versions said: an absolute margin of 0.05 a doubling, and half of the loss less 0.05."""

    def interval(values: Array, scale: float, error: float = error) -> tuple[float, float]:
        low, high = bounds(values, scale, error)
        return float(low), float(high)

    slope = slope_scale(BUDGETS)
    gain, unpruned, pruned = (gain_per_doubling(m, BUDGETS) for m in (models.run, models.unpruned, models.pruned))
    better, loss = (m[:, -1] - models.pruned[:, -1] for m in (models.run, models.unpruned))
    rises, steeper = interval(gain, slope), interval(gain - pruned, slope)
    to_unpruned = interval(gain - unpruned, slope)
    lost = interval(loss, 1.0, RUN_ERROR)[0] > 0
    level, over_pruned = interval(better - (0.5 if lost else 1.0) * loss, 1.0), interval(better, 1.0)
    if rises[0] > 0 and to_unpruned[0] > -0.05 and level[0] > -0.05:
        return "RETURNED"
    short = to_unpruned[1] < -0.05 or level[1] < -0.05
    if rises[0] > 0 and over_pruned[0] > 0 and (steeper[0] > 0 or to_unpruned[0] > -0.05) and short:
        return "PARTIAL"
    little = to_unpruned[1] < -0.05 and min(rises[1], steeper[1]) < 0.05
    falls = rises[1] < 0 < interval(unpruned, slope, RUN_ERROR)[0]
    no_better = level[1] < -0.05 and over_pruned[1] < 0.05
    return "NOT RETURNED" if little or no_better or falls else "UNDECIDED"


def shares(world: World, size: tuple[int, int], repetitions: int) -> list[Counter[str]]:
    """How often each word is said: by the verdict, and by the rule of earlier versions."""
    counts: list[Counter[str]] = [Counter(), Counter()]
    generator = np.random.default_rng(1)
    for _ in range(repetitions):
        models = simulate(world, size, generator)
        counts[0][word(models)] += 1
        counts[1][earlier_word(models)] += 1
    return counts


def false_returned(world: World, size: tuple[int, int], repetitions: int, sweeps: int, alike: Alike = UNLIKE) -> float:
    """The share of runs in which RETURNED is said at any of so many sweeps, all with the truth of `world`."""
    generator, said = np.random.default_rng(2), 0
    errors, groups = [sweep_error(step, 1, sweeps) for step in range(1, sweeps + 1)], alike.groups(size[0])
    for _ in range(repetitions):
        own = alike.hardness(size[0], generator)
        unpruned, pruned = simulated([world.unpruned, world.pruned], size[1], generator, own)
        for error in errors:
            run = simulated([world.run], size[1], generator, own)[0]
            models = Paired(run, unpruned, pruned, BUDGETS).grouped(groups)
            if may_be_returned(models, error) and word(models, error) == "RETURNED":
                said += 1
                break
    return said / repetitions


def decided(world: World, size: tuple[int, int], repetitions: int) -> float:
    """The share of sweeps of `size` that are not UNDECIDED."""
    generator = np.random.default_rng(3)
    return 1 - sum(word(simulate(world, size, generator)) == "UNDECIDED" for _ in range(repetitions)) / repetitions


def enough_problems(world: World, thoughts: int, repetitions: int) -> int | None:
    """The problems, in steps of a tenth, with which four of five sweeps decide; None where 20,000 do not."""
    problems = 30
    while problems <= 20_000:
        if decided(world, (problems, thoughts), repetitions) >= 0.8:
            return problems
        problems = math.ceil(1.1 * problems)
    return None


def ranges(world: World, size: tuple[int, int], repetitions: int) -> tuple[float, Counter[str]]:
    """Of the UNDECIDED sweeps of `size`, what became of their ranges of problems: how many hold the number with which
    four of five sweeps decide, lie below or above it, or say that the truth is near the line; and how many sweeps
    were UNDECIDED."""
    enough, generator, kinds = enough_problems(world, size[1], repetitions), np.random.default_rng(4), Counter[str]()
    for _ in range(repetitions):
        verdict = decide(simulate(world, size, generator), SECTION)
        if verdict.word == "UNDECIDED":
            kinds[_kind(verdict.problem_range, enough)] += 1
    return kinds.total() / repetitions, kinds


def _kind(needed: ProblemRange | None, enough: int | None) -> str:
    if needed is None:
        return "none"
    if needed.near:
        return "near"
    if enough is None or (needed.high is not None and needed.high < enough):
        return "below"
    return "above" if needed.low > enough else "holds"


def tables(repetitions: int) -> None:
    """Prints what is said of each world, then how often RETURNED is false at 1 and over 40 sweeps."""
    print("\nwords: " + ", ".join(f"{letter} {name}" for name, letter in SHORT.items()))
    print(f"{'truth':28}" + "  ".join(f"{f'{p} x {s}':>26}" for p, s in SIZES) + "\n(below each: earlier versions)")
    for name, world in WORLDS.items():
        cells = [shares(world, size, repetitions) for size in SIZES]
        for rule, title in enumerate((name, "")):
            print(f"{title:28}" + "  ".join(f"{_cell(cell[rule]):>26}" for cell in cells), flush=True)
    _false_returned_table(repetitions)
    _range_table(repetitions)


def _false_returned_table(repetitions: int) -> None:
    alikes = {
        "": UNLIKE,
        " .3": Alike(0.3),
        " .6": Alike(0.6),
        " .3 named": Alike(0.3, True),
        " .6 named": Alike(0.6, True),
    }
    print("\nfalse RETURNED, on the line: at 1 sweep (50 times the repetitions), over 40 (5 times)")
    print("(.3, .6: alike in groups of 20, a tenth of the repetitions; named: and judged by these groups)")
    for name, world in NOT_YET.items():
        for suffix, alike in alikes.items() if name in CORNERS else [("", UNLIKE)]:
            few = 10 if alike.likeness else 1
            cells = [
                f"{false_returned(world, size, 50 * repetitions // few, 1, alike):.4f}"
                f" {false_returned(world, size, 5 * repetitions // few, 40, alike):.4f}"
                for size in ON_THE_LINE
            ]
            print(f"{name + suffix:38}" + "  ".join(f"{cell:>15}" for cell in cells), flush=True)


def _range_table(repetitions: int) -> None:
    print("\nUNDECIDED sweeps, and their ranges of problems that would decide")
    for name in UNDECIDED:
        for size in ((100, 1), (100, 4)):
            share, kinds = ranges(WORLDS[name], size, repetitions)
            cells = ", ".join(f"{kind} {count / kinds.total():.2f}" for kind, count in sorted(kinds.items()))
            print(f"{name:28} {size[0]} x {size[1]}: UNDECIDED {share:.2f}; {cells}", flush=True)


def _cell(counts: Counter[str]) -> str:
    total = counts.total()
    return " ".join(f"{SHORT[name]} {counts[name] / total:.2f}" for name in SHORT if counts[name] / total >= 0.005)
