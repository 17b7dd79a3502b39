"""How to read a sweep's verdict after earlier sweeps of the run: what is shown, what is open, what is refuted.

Consecutive verdicts can look like a relapse without being one: after RETURNED, a sweep may show only at least PARTIAL,
because its interval is slightly wider or its estimate slightly lower, and refute nothing. So a sweep that shows less
than an earlier one names that sweep, and says whether its result is refuted.
"""

from __future__ import annotations

from collections.abc import Sequence

from eval.numbers.decide import reading
from eval.numbers.summary import Row, at_step, steps

RANK = {"NOT RETURNED": 0, "PARTIAL": 1, "RETURNED": 2}
"""words that say how much is recovered, in increasing order"""


def read_verdict(summary: Row | None) -> str:
    """The verdict of a row with budget null, as `eval.numbers.decide.reading`; "" without one."""
    if not summary or not summary.get("verdict"):
        return ""
    return reading(str(summary["verdict"]), bool(summary.get("verdict_at_least")), bool(summary.get("verdict_at_most")))


def after_others(rows: Sequence[Row], suite: str, step: int) -> str:
    """The same at `step` of the run, followed by what an earlier sweep has shown beyond it (the newest such sweep)."""
    said = read_verdict(at_step(rows, "run", suite, step)[1])
    word = str((at_step(rows, "run", suite, step)[1] or {}).get("verdict"))
    earlier = [
        (RANK.get(str((at_step(rows, "run", suite, before)[1] or {}).get("verdict")), 0), before)
        for before in steps(rows, "run", suite)
        if before < step
    ]
    most, when = max(earlier, default=(0, 0))
    if not said or most <= RANK.get(word, 0):
        return said
    shown = next(name for name, rank in RANK.items() if rank == most)
    return f"{said} ({shown} was shown at step {when} and is {'' if _refutes(said, shown) else 'not '}refuted here)"


def _refutes(said: str, shown: str) -> bool:
    """Whether a reading excludes a stronger word: PARTIAL and NOT RETURNED do on their own, and `at most` does."""
    return said in ("PARTIAL", "NOT RETURNED") or (shown == "RETURNED" and said.endswith("at most PARTIAL"))
