"""Several runs side by side: the final sweep of each on the verdict suite.

python -m eval.compare RUN [RUN ...] [out=DIR] [axis=budget|spent]

It prints a table and writes DIR/compare.png and DIR/compare.txt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent

from matplotlib.figure import Figure

from eval.numbers.groups import clustered, joint_groups
from eval.numbers.pairs import differences
from eval.numbers.summary import Row, newest, paired_ids, problem_means, totals, verdict_suite
from eval.show.confirmed import standing_cell
from eval.show.curves import (
    AXES,
    BUDGET,
    PRUNED,
    UNPRUNED,
    Axis,
    Curve,
    Line,
    draw_curves,
    note_on,
    protocol_note,
    save,
    single_axes,
)
from eval.show.tables import align, budget_name, cell, gain_cell
from recipes.command import run as run_command
from recipes.command import split
from recipes.errors import UserError
from recipes.file_names import name_fault
from runtime.files import read_rows, write_whole, writing_fault
from runtime.run_folder import RunFolder

COLOURS = ("#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c564b", "#7f7f7f")  # after Okabe and Ito
REFERENCES: tuple[tuple[str, str, Line], ...] = (("pruned", PRUNED, "--"), ("unpruned", UNPRUNED, "-"))
KEYS = {
    "out": "folder of compare.png and compare.txt; default runs/compare",
    "axis": "what runs along the figure: budget (default), spent, the thinking tokens really spent, or total, "
    "those of answers too",
}


@dataclass(frozen=True)
class Finished:
    """A run's name, its rows of the latest sweep after training on `suite`, all its rows, the file of that sweep's
    thoughts, its summed metrics, and whether what it keeps is confirmed."""

    name: str
    suite: str
    final: tuple[Row, ...]
    summary: Row
    rows: tuple[Row, ...]
    samples: Path
    totals: dict[str, float]
    standing: str


def read_run(folder: Path) -> Finished:
    """The final sweep of a run folder.

    Raises UserError, naming it, for a folder that is missing or has no sweep after training.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such run folder; give folders that `launch/train.py` wrote")
    rows = read_rows(RunFolder(folder).sweeps)
    suite = verdict_suite(rows) if rows else ""
    if suite and (fault := name_fault(suite)):
        raise UserError(f"{RunFolder(folder).sweeps}: the suite {suite!r} {fault}; the folder was changed by hand")
    final, summary = newest(rows, "run", suite)
    if summary is None or not final or summary["step"] == 0:
        raise UserError(
            f"{folder}: unfinished, its sweeps.jsonl has no sweep after training; resume the run or leave it out"
        )
    samples = RunFolder(folder).samples / suite / f"run-{summary['step']:06d}.jsonl"
    summed = totals(read_rows(RunFolder(folder).metrics))
    standing = standing_cell(RunFolder(folder).facts(), rows)
    return Finished(folder.resolve().name, suite, tuple(final), summary, tuple(rows), samples, summed, standing)


def comparison(runs: Sequence[Finished]) -> str:
    """The table as plain text: runs down; accuracy at each budget, gain, verdict, tokens and seconds across.

    Names differing protocols. Raises UserError where the runs' verdict suites differ.
    """
    other = next((run for run in runs if run.suite != runs[0].suite), None)
    if other is not None:
        raise UserError(
            f"{other.name} is judged on suite {other.suite!r}, {runs[0].name} on {runs[0].suite!r}; "
            "compare like with like"
        )
    budgets = sorted({row["budget"] for run in runs for row in run.final})
    heads = ["gain per doubling", "verdict", "confirmed", "tokens", "seconds"]
    lines = [["run", "step", *map(budget_name, budgets), *heads]]
    for run in runs:
        cells = {row["budget"]: cell(row) for row in run.final}
        lines.append(
            [
                run.name,
                str(run.summary["step"]),
                *(cells.get(budget, "-") for budget in budgets),
                gain_cell(run.summary),
                run.summary.get("verdict") or "-",
                run.standing,
                _total(run, "tokens"),
                _total(run, "seconds"),
            ]
        )
    note = protocol_note(joint_curves(runs))
    return f"{runs[0].suite}: accuracy by thinking budget\n{align(lines)}" + (f"\n{note}" if note else "")


def paired_lines(runs: Sequence[Finished]) -> list[str]:
    """One line per pair of runs and number: the paired difference by problem, with Holm's correction over all pairs.

    A line says why there are none: a run without its samples, other budgets, or other protocols.
    """
    if len(runs) < 2:
        return []
    lacking = [run.name for run in runs if not run.samples.is_file()]
    budgets = {tuple(row["budget"] for row in run.final) for run in runs}
    if lacking or len(budgets) > 1 or protocol_note(final_curves(runs)):
        why = f"no samples of {', '.join(lacking)}" if lacking else "budgets or protocols differ"
        return [f"no paired differences: {why}"]
    from eval.samples import read_sweep  # transformers is not needed where there is nothing to pair

    names = [run.name for run in runs]
    labels = [f"{name} ({number})" if names.count(name) > 1 else name for number, name in enumerate(names, start=1)]
    sweeps = {label: read_sweep(run.samples) for label, run in zip(labels, runs, strict=True)}
    problems, groups = paired_ids(list(sweeps.values())), joint_groups([sweep.groups for sweep in sweeps.values()])
    if groups is None:
        return ["no paired differences: runs put one problem into different groups; name one `group` column in all"]
    means = {name: clustered(problem_means(sweep, problems), problems, groups) for name, sweep in sweeps.items()}
    grouped = f" in {len(next(iter(means.values())))} groups, by which intervals are clustered" if groups else ""
    lines = [["paired difference", "", "first - second, 95 % interval", "p", "p by Holm"]]
    for each in differences(means, budgets.pop()):
        where = "" if each.budget is None or each.what == "level" else f" at {budget_name(each.budget)}"
        number = f"{each.estimate:+.3f} [{each.low:+.3f}, {each.high:+.3f}]"
        pair = f"{each.first} - {each.second}"
        lines.append([pair, each.what + where, number, f"{each.p:.2g}", f"{each.adjusted:.2g}"])
    return [f"{len(problems)} problems that all runs have{grouped}", *align(lines).splitlines()]


def _total(run: Finished, key: str) -> str:
    return f"{run.totals[key]:,.0f}" if key in run.totals else "not measured"


def final_curves(runs: Sequence[Finished]) -> list[Curve]:
    """The final curve of each run."""
    return [Curve(run.name, run.final, COLOURS[index % len(COLOURS)], "-", 2.2, 0.13) for index, run in enumerate(runs)]


def joint_curves(runs: Sequence[Finished]) -> list[Curve]:
    """The final curve of each run and the references; a reference that runs share (same rows) is drawn once."""
    joint = final_curves(runs)
    for model, colour, line in REFERENCES:
        references = [(run.name, tuple(newest(run.rows, model, run.suite)[0])) for run in runs]
        # keyed by content; reversed, so that of equal references the first run's name stays
        distinct = {str(reference): (name, reference) for name, reference in reversed(references) if reference}
        for name, reference in distinct.values():
            label = model if len(distinct) == 1 else f"{model} of {name}"
            joint.append(Curve(label, reference, colour, line, 1.6, 0.08))
    return joint


def joint_figure(runs: Sequence[Finished], axis: Axis = BUDGET) -> Figure:
    """The final curves of all runs along one `axis`, with a note where their protocols differ."""
    figure, axes = single_axes()
    drawn = joint_curves(runs)
    draw_curves(axes, drawn, axis)
    axes.set_title(f"{runs[0].suite}: {axis.title}", loc="left", fontsize=12, fontweight="bold")
    axes.set_xlabel(axis.label)
    axes.set_ylabel("accuracy (bands: 95 % intervals)")
    axes.legend(fontsize=8.5, loc="best", framealpha=0.92, edgecolor="#dddddd")
    note_on(figure, [drawn])
    return figure


def main(arguments: list[str]) -> None:
    """Prints the comparison of the run folders in `arguments` and writes it with its figure under out=."""
    chosen, folders = split(arguments, KEYS)
    unknown = [folder for folder in folders if folder.startswith("-") or ("=" in folder and not Path(folder).exists())]
    if unknown or not folders:
        raise UserError(
            f"{unknown[0]}: not a run folder" if unknown else "give at least one run folder: eval.compare RUN [RUN ...]"
        )
    if chosen.get("axis", "budget") not in AXES:
        raise UserError(f"axis={chosen['axis']}: not something to draw along; allowed: {', '.join(AXES)}")
    runs = [read_run(Path(folder)) for folder in folders]
    text = "\n".join([comparison(runs), *paired_lines(runs)])
    out = Path(chosen.get("out", "runs/compare"))
    if fault := writing_fault(out):
        raise UserError(f"out={out}: cannot be written ({fault}); name another folder")
    picture = save(joint_figure(runs, AXES[chosen.get("axis", "budget")]), out / "compare.png")
    write_whole(out / "compare.txt", text + "\n")
    print(text)
    print(indent("\n".join(run.summary["verdict_line"] for run in runs if run.summary.get("verdict_line")), "  "))
    print(f"figure: {picture}")


if __name__ == "__main__":
    run_command(main)
