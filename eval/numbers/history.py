"""How the verdict of one sweep of a run reads after those before it: what is shown, what is open, what is refuted.

The words of sweeps that follow each other can read like a relapse where there is none: after RETURNED a sweep may show
PARTIAL at least, as its interval is a little wider or its estimate a little lower, and refute nothing. So a sweep that
shows less than an earlier one says which it was, and whether this one refutes it.
"""

from __future__ import annotations

from collections.abc import Sequence

from eval.numbers.decide import reading
from eval.numbers.summary import Row, at_step, steps

RANK = {"NOT RETURNED": 0, "PARTIAL": 1, "RETURNED": 2}
"""words that say how much is back, in the order of how much"""


def read_verdict(summary: Row | None) -> str:
    """The verdict of a row with budget null, as `eval.numbers.decide.reading`; "" without one."""
    if not summary or not summary.get("verdict"):
        return ""
    return reading(str(summary["verdict"]), bool(summary.get("verdict_at_least")), bool(summary.get("verdict_at_most")))


def after_others(rows: Sequence[Row], suite: str, step: int) -> str:
    """The same at `step` of the run, with what an earlier sweep has shown beyond it: of several the newest."""
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
    """Whether a reading excludes a word that is more: PARTIAL and NOT RETURNED by themselves do, and `at most`."""
    return said in ("PARTIAL", "NOT RETURNED") or (shown == "RETURNED" and said.endswith("at most PARTIAL"))
