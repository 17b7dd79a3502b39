"""The terminal's table after a sweep: one line per model, one column per budget, plain text in 100 columns."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

from eval.numbers.sequences import RUN_ERROR, interval_name
from eval.numbers.summary import Row, newest, suites
from eval.show.answers import answer_cell, long_answers

NAMES = {"unpruned": "unpruned", "pruned": "pruned", "run": "now"}
WIDTH = 100
THOUGHT_HEAD = ("terminated", "looping", "repetition", "self-BLEU", "verification", "backtracking", "subgoals")
MOST_WITH_INTERVAL = 5  # budgets; with more, intervals would not fit the terminal


def share(value: float) -> str:
    """An accuracy for a narrow column: `.98`, `1.0`."""
    text = f"{value:.2f}"
    return text[1:] if text.startswith("0") else text[:3]


def cell(row: Row) -> str:
    """Accuracy with its 95 % interval, as in `0.98 [.95, 1.0]`; the number of missing thoughts, if any, and the
    accuracy if all of them were wrong."""
    bound = f": >= {share(row['accuracy_if_missing_wrong'])}" if "accuracy_if_missing_wrong" in row else ""
    missing = f" ({row['missing']} missing{bound})" if row.get("missing") else ""
    return f"{row['accuracy']:.2f} [{share(row['low'])}, {share(row['high'])}]{missing}"


def gain_cell(summary: Row | None) -> str:
    """Gain per doubling with its interval, as in `+0.26 [+.24, +.28]`; `-` if it is undefined.

    The interval is the verdict's if there is one (`gain_note` names it), else a 95 % one.
    """
    if summary is None or summary["gain_per_doubling"] is None:
        return "-"
    return f"{summary['gain_per_doubling']:+.2f} [{_signed(summary['gain_low'])}, {_signed(summary['gain_high'])}]"


def gain_note(summary: Row | None) -> str:
    """The required note on the interval of `gain_cell`; empty for a 95 % interval of this sweep alone."""
    error = (summary or {}).get("verdict_error") or RUN_ERROR
    return interval_name(error) if error < RUN_ERROR else ""


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("0.", ".", 1)


def budget_name(budget: int) -> str:
    """A budget as a column head: `8,192`, and `off` for 0, the answer without thinking."""
    return f"{budget:,}" if budget else "off"


def way_of_asking(row: Row) -> str:
    """`at 128`, `thinking off`, or `by likelihood`."""
    if row.get("method") == "likelihood":
        return "by likelihood"
    return f"at {row['budget']:,}" if row["budget"] else "thinking off"


def align(lines: Sequence[Sequence[str]]) -> str:
    """Text columns two blanks apart, each as wide as its widest cell; trailing blanks are dropped."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def sweep_table(rows: Sequence[Row], suite: str) -> str:
    """The newest sweep of each model on the verdict suite `suite`, one short line for every other suite, and the
    verdict.

    `rows` are those of sweeps.jsonl; models and suites that were not swept are left out.
    """
    sweeps = {model: newest(rows, model, suite) for model in NAMES}
    present = {model: sweep for model, sweep in sweeps.items() if sweep[0]}
    if not present:
        return f"{suite}: not measured"
    parts = [_title(present, suite), _models(present), *_thoughts(present)]
    parts += [_short(rows, other) for other in suites(rows) if other != suite]
    summary = present.get("run", ([], None))[1]
    if summary is not None:
        largest = present["run"][0][-1]
        parts.append(
            f"answers truncated {share(largest['cut'])}, {answer_cell(largest)} tokens long; "
            f"{largest['tokens_spent']:.0f} thinking tokens spent"
        )
        parts += [line for warning in long_answers(rows, suite) for line in fill(warning, WIDTH).splitlines()]
        parts += fill(summary["verdict_line"], WIDTH).splitlines() if summary.get("verdict_line") else []
    return "\n".join(parts)


def _title(present: dict[str, tuple[list[Row], Row | None]], suite: str) -> str:
    last = present.get("run") or next(iter(present.values()))
    row = last[0][-1]
    size = f"{row['problems']} problems x {row['samples']}"
    size += f" ({row['missing']} thoughts missing)" if row.get("missing") else ""
    when = f"step {row['step']}" if "run" in present else "before training"
    return f"{when}, {suite}: accuracy by thinking budget, {size}, 95 % intervals"


def _models(present: dict[str, tuple[list[Row], Row | None]]) -> str:
    budgets = sorted({row["budget"] for sweep, _ in present.values() for row in sweep})
    lines = [["", *map(budget_name, budgets)]]
    many = len(budgets) > MOST_WITH_INTERVAL
    for model, (sweep, _) in present.items():
        cells = {row["budget"]: share(row["accuracy"]) if many else cell(row) for row in sweep}
        lines.append([NAMES[model], *(cells.get(budget, "-") for budget in budgets)])
    gains = [f"{NAMES[model]} {gain_cell(summary)}" for model, (_, summary) in present.items()]
    notes = [f"\n(gain now: {note})" for _, summary in present.values() if (note := gain_note(summary))]
    return align(lines) + "\ngain per doubling: " + " · ".join(gains) + "".join(notes)


def _short(rows: Sequence[Row], suite: str) -> str:
    sweeps = {model: newest(rows, model, suite)[0] for model in NAMES}
    last = max((sweep[-1] for sweep in sweeps.values() if sweep), key=lambda row: row["budget"])
    guess = f" (chance {share(last['chance'])})" if last.get("chance") else ""
    cells = [f"{NAMES[model]} {cell(sweep[-1])}" for model, sweep in sweeps.items() if sweep]
    return f"{suite} {way_of_asking(last)}{guess}: " + " · ".join(cells)


def _thoughts(present: dict[str, tuple[list[Row], Row | None]]) -> list[str]:
    """How thoughts end and are written, one line per model; a judge's counts have a line of their own."""
    budget = max(sweep[-1]["budget"] for sweep, _ in present.values())
    lines, notes = [[f"thoughts at {budget}", *THOUGHT_HEAD]], []
    for model, (sweep, summary) in present.items():
        if summary is not None:
            lines.append([NAMES[model], *thought_cells(summary, sweep[-1])])
            judged = (summary.get("style") or {}).get("judged")
            lines += [[f"{NAMES[model]}, judged", *judged_cells(judged)]] if judged else []
            notes += [f"{NAMES[model]}: {judge_note(judged)}"] if judged and judged["missing"] else []
    return [*align(lines).splitlines(), *(line[:WIDTH] for line in notes)]


def thought_cells(summary: Row, largest: Row) -> list[str]:
    """A line under THOUGHT_HEAD of one sweep: its row with budget null (`summary`) and that of its largest budget.

    Shares of thoughts that terminate and that loop, then numbers of `eval.numbers.style` (marks per 1,000 words).
    """
    style = summary.get("style")
    numbers = [style["ngram_repetition"], style["self_bleu"], *_marks(style)] if style else [None] * 5
    ended = "-" if summary["termination"] is None else share(summary["termination"])
    return [ended, share(largest["looping"]), *map(style_cell, numbers)]


def judged_cells(judged: Row) -> list[str]:
    """The same line for a judge's counts: only marks."""
    return [""] * 4 + [style_cell(marks) for marks in _marks(judged)]


def judge_note(judged: Row) -> str:
    """The number of thoughts that a judge failed on, and why."""
    thoughts = judged["thoughts"] + judged["missing"]
    return f"judge {judged['judge']}: {judged['missing']} of {thoughts} thoughts missing, {judged['failure']}"


def _marks(counted: Row) -> list[float | None]:
    return [marks["per_1000_words"] for marks in counted["reflection"].values()]


def style_cell(value: float | None) -> str:
    """A number of `eval.numbers.style` for a narrow column; `-` if it is undefined."""
    if value is None:
        return "-"
    return share(value) if value <= 1 else f"{value:.1f}" if value < 9.95 else f"{value:.0f}"
