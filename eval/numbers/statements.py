"""The parts of a verdict: claims that a contrast is beyond a threshold, and how many problems would show them.

A `Claim` is a tuple of statements that must all be shown; `either` takes the claim nearest to being shown. Two ways to
the same word share its error: each uses contrasts with half of it.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass

from eval.numbers.contrasts import Contrast, reach

RESERVE = 0.8416  # normal quantile for 80 % probability: standard errors beyond the interval
LIKELY = 1.2816  # normal quantile of an 80 % interval: standard errors on either side of a distance
MOST_PROBLEMS = 1_000_000  # above this, the honest answer is that problems will not decide
NEAR = 10  # times the problems: from here on the true value is reported as close to the threshold


@dataclass(frozen=True)
class ProblemRange:
    """How many problems would decide, as an 80 % range; `high` is None if no number up to a million is enough.

    likely: the number if the estimates are true; near: the true value is so close to the threshold that more problems
    will not settle it.
    """

    low: int
    likely: int
    high: int | None
    near: bool


@dataclass(frozen=True)
class Statement:
    """A claim that a contrast is beyond a threshold, on the side away from its bound number `side` (0 low, 1 high).

    distance: of the estimate from the threshold; above 0 if the claim looks true.
    """

    text: str
    contrast: Contrast
    distance: float
    side: int

    @property
    def ratio(self) -> float:
        """How far it is from being shown: half width / distance (1: just shown, inf: looks false)."""
        ends = self.contrast.estimate - self.contrast.low, self.contrast.high - self.contrast.estimate
        # Skewness makes the two ends differ; only the one towards the threshold matters.
        return ends[self.side] / self.distance if self.distance > 0 else math.inf

    def problems_needed(self, problems: int, distance: float | None = None) -> int | None:
        """The smallest number of problems, at least `problems`, that shows it in four of five repetitions if the
        estimate is true, or if the true distance is `distance`; None if a million would not."""
        distance = self.distance if distance is None else distance
        if not self._shown_with(MOST_PROBLEMS, distance):
            return None
        return bisect_left(range(MOST_PROBLEMS), True, lo=problems, key=lambda n: self._shown_with(n, distance))

    def problem_range(self, problems: int) -> ProblemRange | None:
        """The numbers for the ends of the distance's 80 % interval; None if the claim looks false."""
        spread = LIKELY * self.contrast.deviation / math.sqrt(problems)
        low, likely = self.problems_needed(problems, self.distance + spread), self.problems_needed(problems)
        if low is None or likely is None:
            return None
        high = self.problems_needed(problems, self.distance - spread)
        return ProblemRange(low, likely, high, near=likely >= NEAR * problems)

    def _shown_with(self, problems: int, distance: float) -> bool:
        c = self.contrast
        half = float(reach(c.deviation, c.skewness, c.scale, problems, c.error)[self.side])
        return half + RESERVE * c.deviation / math.sqrt(problems) <= distance


Claim = tuple[Statement, ...]


def above(name: str, contrast: Contrast, threshold: float = 0.0) -> Claim:
    """The claim that `contrast` is above `threshold`."""
    text = f"{name} {span(contrast)} is above {threshold:g}"
    return (Statement(text, contrast, contrast.estimate - threshold, 0),)


def below(name: str, contrast: Contrast, threshold: float = 0.0) -> Claim:
    """The claim that `contrast` is below `threshold`."""
    text = f"{name} {span(contrast)} is below {threshold:g}"
    return (Statement(text, contrast, threshold - contrast.estimate, 1),)


def span(contrast: Contrast) -> str:
    """A contrast with its interval."""
    return f"{contrast.estimate:+.3f} [{contrast.low:+.3f}, {contrast.high:+.3f}]"


def ratio(claim: Claim) -> float:
    """How far a claim is from being shown: all its statements must be, so the farthest one decides."""
    return max(statement.ratio for statement in claim)


def is_shown(claim: Claim) -> bool:
    return ratio(claim) < 1


def either(*claims: Claim) -> Claim:
    """The claim nearest to being shown, since any of them is enough."""
    return min(claims, key=ratio)


def weakest(*claims: Claim) -> Claim:
    """The claim that is farthest from being shown, which represents several claims that are all needed."""
    return max(claims, key=ratio)
