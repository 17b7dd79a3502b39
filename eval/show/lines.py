"""One line per sweep of a run: accuracy at each budget, gain, change since the sweep before, verdict, time."""

from __future__ import annotations

from collections.abc import Sequence

from eval.numbers.history import after_others
from eval.numbers.summary import Row, at_step, newest, steps, suites
from eval.show.tables import budget_name, share


def sweep_line(rows: Sequence[Row], suite: str) -> str:
    """The newest sweep of the run among the rows of sweeps.jsonl, on the suite that decides; other suites with the
    accuracy at their largest budget. The change is since the sweep before; for the first sweep, against the pruned
    model."""
    step = steps(rows, "run", suite)[-1]
    at_budgets, summary = at_step(rows, "run", suite, step)
    accuracies = " · ".join(f"{budget_name(row['budget'])} {share(row['accuracy'])}" for row in at_budgets)
    parts = [f"step {step}, {suite}: {accuracies}", *_change(rows, suite, step), after_others(rows, suite, step)]
    others = [f"{name} {share(newest(rows, 'run', name)[0][-1]['accuracy'])}" for name in suites(rows) if name != suite]
    parts += [", ".join(others), f"{missing} thoughts missing" if (missing := at_budgets[-1].get("missing")) else ""]
    seconds = (summary or {}).get("seconds")
    parts.append("" if seconds is None else f"{seconds:.0f} s")
    return " | ".join(part for part in parts if part)


def _change(rows: Sequence[Row], suite: str, step: int) -> list[str]:
    """The gain per doubling, and the increase of level and gain."""
    before = [other for other in steps(rows, "run", suite) if other < step]
    earlier = at_step(rows, "run", suite, before[-1]) if before else newest(rows, "pruned", suite)
    now, then = (_level_and_gain(sweep) for sweep in (at_step(rows, "run", suite, step), earlier))
    changes = [
        f"{name} {value - old:+.2f}"
        for name, value, old in zip(("level", "gain"), now, then, strict=True)
        if value is not None and old is not None
    ]
    gain = "" if now[1] is None else f"gain {now[1]:+.2f}"
    since = f"since step {before[-1]}" if before else "against pruned"
    return [gain, f"{since}: {', '.join(changes)}" if changes else ""]


def _level_and_gain(sweep: tuple[list[Row], Row | None]) -> tuple[float | None, float | None]:
    at_budgets, summary = sweep
    level = at_budgets[-1]["accuracy"] if at_budgets else None
    return level, (summary or {}).get("gain_per_doubling")
