"""Printed before the first step: the references, whether they can show recovery, and the expected cost of sweeps."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

from eval.numbers.gap import suite_gap
from eval.numbers.summary import Row, sweep_rows
from eval.show.tables import WIDTH, sweep_table
from recipes.errors import UserError
from recipes.sweep import SweepSection
from runtime.progress import clock
from runtime.ranks import Ranks
from train.references import References
from train.run import say

MUCH = 0.5
"""if sweeps take at least this share of the time, the keys that reduce it are named"""


def show_references(references: References, section: SweepSection, steps: int, ranks: Ranks) -> None:
    """Prints the references' table, the coming sweeps, and a warning if the verdict suite cannot show recovery.

    All ranks must call it. With `sweep.verdict.require_gap` a UserError takes the place of the warning.
    """
    suite = section.deciding_suite.name
    say(ranks, f"\n{sweep_table(reference_rows(references, section), suite)}\n{to_come(references, section, steps)}\n")
    faults = suite_gap(references.unpruned[suite], references.pruned[suite], section.verdict.delta)
    if not faults:
        return
    others = [
        name
        for name in references.unpruned
        if not suite_gap(references.unpruned[name], references.pruned[name], section.verdict.delta)
    ]
    faults += [f"suites that can: {', '.join(others)} (sweep.verdict.suite={others[0]})"] if others else []
    said = "\n".join(f"suite {suite} cannot show recovery: {fault}" for fault in faults)
    if section.verdict.require_gap:
        raise UserError(
            f"{said}\nsweep.verdict.require_gap=true: stopped before training; the references are kept in "
            "run.cache_dir. Use false to train anyway"
        )
    say(ranks, "\n".join(fill(f"WARNING: {line}", WIDTH) for line in said.splitlines()) + "\n")


def reference_rows(references: References, section: SweepSection) -> list[Row]:
    """The rows of both references on every suite."""
    of_both = (*references.unpruned.values(), *references.pruned.values())
    return [row for sweep in of_both for row in sweep_rows(sweep, None, None, section.verdict)]


def to_come(references: References, section: SweepSection, steps: int) -> str:
    """How many sweeps a run of `steps` has, and how long they take, if that is known before the first step."""
    count = sweeps_of(section.every_steps, steps)
    said = f"{count} sweep{'s' if count > 1 else ''} to come: every {section.every_steps} steps and after step {steps}"
    if section.max_share is not None:
        said += f", skipped if they take more than {section.max_share:.0%} of the time"
    seconds = references.seconds.get("pruned")
    if seconds is None:
        return f"{said}; their cost is printed after the first"
    return f"{said}; about {clock(seconds)} each, like that of the pruned model, {clock(count * seconds)} in all"


def sweeps_of(every_steps: int, steps: int) -> int:
    """Number of sweeps of a run: one every `every_steps`, and one after the last of its `steps`."""
    return -(-steps // every_steps)


def sweep_seconds(rows: Sequence[Row], references: References) -> float | None:
    """Seconds of one sweep: those of the run's newest, else those of the pruned model's; None if neither was measured.
    `rows`: sweeps.jsonl."""
    timed = [row["seconds"] for row in rows if row["model"] == "run" and row.get("seconds") is not None]
    return timed[-1] if timed else references.seconds.get("pruned")


def share_of_sweeps(section: SweepSection, steps: int, sweep: float | None, step: float) -> str:
    """A line about the share of the run's time that sweeps take; `sweep` and `step`: seconds per sweep and per step. ""
    if the former is not known yet, or if training does not wait for sweeps."""
    if sweep is None or section.background:
        return ""
    count = sweeps_of(section.every_steps, steps)
    spent, trained = count * sweep, steps * step
    share = spent / (spent + trained)
    if section.max_share is not None and share > section.max_share:
        return (
            f"sweeps are limited to {section.max_share:.0%} of the time (sweep.max_share); all {count} would take "
            f"{share:.0%} of it"
        )
    said = (
        f"sweeps take about {share:.0%} of the time: {count} of {clock(sweep)} and {steps} steps of {step:.2g} s, "
        f"{clock(spent + trained)} in all"
    )
    return said if share < MUCH else f"{said}; for fewer, use a larger sweep.every_steps or sweep.max_share=0.2"
