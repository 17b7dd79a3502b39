"""Rejection sampling: which thoughts of a model become traces, and how hard each problem was for it.

A thought is verified if it and its answer terminated, neither loops, it can be trained on as it is, and the answer is
graded correct. Everything here is a pure function of the thoughts.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from data_prep.problem import Suite
from data_prep.trace import Trace

VERIFIED = "verified"
SAME = "the same as another sample"
NOT_CHOSEN = "right, but not chosen"


@dataclass(frozen=True)
class Sample:
    """One judged thought. verdict: `verified`, or the first reason why it is not."""

    problem: str
    sample: int
    trace: Trace
    thinking_tokens: int
    answer_tokens: int
    verdict: str


def chosen(samples: Sequence[Sample], keep: str, per_problem: int, seed: int) -> tuple[list[Sample], Counter[str]]:
    """The traces of one problem to keep, in the order of the samples, and why how many verified ones are left out.

    The first of equal traces is kept. `random` draws by a hash of (seed, problem, sample) and depends on nothing else.
    """
    verified = [sample for sample in samples if sample.verdict == VERIFIED]
    different: dict[tuple[str, str], Sample] = {}
    for sample in verified:
        different.setdefault((sample.trace.thinking, sample.trace.answer), sample)
    orders = {
        "all": lambda sample: sample.sample,
        "shortest": lambda sample: (_tokens(sample), sample.sample),
        "random": lambda sample: hashlib.sha256(f"{seed} {sample.problem} {sample.sample}".encode()).digest(),
    }
    best = sorted(different.values(), key=orders[keep])
    kept = best if keep == "all" else best[:per_problem]
    left = {SAME: len(verified) - len(different), NOT_CHOSEN: len(different) - len(kept)}
    return sorted(kept, key=lambda sample: sample.sample), Counter({why: count for why, count in left.items() if count})


def _tokens(sample: Sample) -> int:
    return sample.thinking_tokens + sample.answer_tokens


def problem_row(problem: str, samples: Sequence[Sample], kept: int) -> dict[str, Any]:
    """How hard one problem was: pass rate, the verdicts on its samples, mean tokens per thought."""
    correct = sum(sample.verdict == VERIFIED for sample in samples)
    return {
        "problem": problem,
        "samples": len(samples),
        "correct": correct,
        "pass_rate": round(correct / len(samples), 4),
        "kept": kept,
        "verdicts": dict(sorted(Counter(sample.verdict for sample in samples).items())),
        "mean_thinking_tokens": round(sum(sample.thinking_tokens for sample in samples) / len(samples), 1),
    }


def summary(suite: Suite, rows: Sequence[dict[str, Any]], left: Counter[str]) -> str:
    """The result of a generation for the terminal: verdicts, traces kept, and problems by pass rate."""
    verdicts: Counter[str] = Counter()
    for row in rows:
        verdicts.update(row["verdicts"])
    total, kept = verdicts.total(), sum(row["kept"] for row in rows)
    lines = [
        f"{suite.name}: {len(rows):,} problems, {total:,} thoughts, {verdicts[VERIFIED]:,} verified "
        f"({verdicts[VERIFIED] / total:.1%}), {kept:,} traces kept of {sum(row['kept'] > 0 for row in rows):,} "
        "problems"
    ]
    reasons = Counter({why: count for why, count in verdicts.items() if why != VERIFIED}) + left
    lines += [f"{count:8,}  {why}" for why, count in reasons.most_common()]
    bands = Counter(_band(row["pass_rate"]) for row in rows)
    lines += ["problems by pass rate: " + ", ".join(f"{band}: {bands[band]:,}" for band in BANDS)]
    return "\n".join(lines)


BANDS = ("0", "up to 1/4", "up to 1/2", "up to 3/4", "below 1", "1")


def _band(rate: float) -> str:
    if rate in (0.0, 1.0):
        return BANDS[0] if rate == 0.0 else BANDS[-1]
    return next((band for most, band in zip((0.25, 0.5, 0.75), BANDS[1:], strict=False) if rate <= most), BANDS[4])
