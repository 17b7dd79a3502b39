"""Several runs side by side: one sweep of each on the verdict suite.

python -m eval.compare RUN [RUN ...] [against=RUN] [step=last|best|N] [format=text|csv|json|markdown|latex] [out=DIR]
    [axis=budget|spent|total] [figures=all|none] [html=FILE]
python -m eval.compare NAME@BUDGET=LOG ... [metric=NAME]     logs of lm-evaluation-harness, Inspect or lighteval

It prints the comparison in the chosen format and writes it, with its figures, to DIR. For machine formats, standard
output holds nothing else; the list of written files goes to standard error.
"""

from __future__ import annotations

import gc
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from textwrap import fill
from typing import Any

from eval.comparing.comparison import document
from eval.comparing.figures import figures
from eval.comparing.finished import BEST, LAST, Finished, chosen, read_run
from eval.comparing.logs import as_run, grades_of
from eval.comparing.pairing import Pairs, differences_of, paired
from eval.comparing.protocols import check_protocols
from eval.comparing.tables import flat_models, flat_pairs, tables
from eval.logs.read import FORM, named_log
from eval.show.comparison import comparison_page
from eval.show.curves import AXES, save
from eval.show.formats import as_csv, as_latex, as_markdown, as_text, latex, markdown
from eval.show.tables import WIDTH
from recipes.command import run as run_command
from recipes.command import split
from recipes.errors import UserError
from runtime.files import write_whole, writing_fault
from runtime.run_folder import RunFolder

TEXT, CSV, JSON = "text", "csv", "json"
ALL, NONE = "all", "none"
FIGURES = (ALL, NONE)
ENDINGS = {TEXT: "txt", CSV: "csv", JSON: "json", "markdown": "md", "latex": "tex"}
KEYS = {
    "against": "the run that all others are compared with; default: every pair of runs",
    "step": f"the sweep of each run: {LAST} (default), {BEST} (by keep_best, else by the level), or a step",
    "format": f"the format printed and written: {', '.join(ENDINGS)}; default {TEXT}",
    "out": "folder for the comparison and its figures; default runs/compare",
    "axis": "the horizontal axis of the figures: budget (default), spent (thinking tokens really spent), or total "
    "(spent, including answers)",
    "metric": "for logs of other tools: the metric that says whether an answer is right; default: the first",
    "figures": f"{ALL} (default) or {NONE}, which is faster",
    "html": "file for one HTML page with the comparison; default: none is written",
}


def read_runs(folders: Sequence[str]) -> list[Finished]:
    """The last sweep of each folder, under distinct names: folders of the same name are numbered.

    Raises UserError if one is given twice.
    """
    if twice := [place for place, times in Counter(places(folders)).items() if times > 1]:
        raise UserError(f"{twice[0]}: given twice; name each run once")
    runs = [read_run(Path(folder)) for folder in folders]
    counts = Counter(run.name for run in runs)
    return [
        replace(run, name=f"{run.name} ({place})") if counts[run.name] > 1 else run
        for place, run in enumerate(runs, start=1)
    ]


def without_others(folders: Sequence[str]) -> tuple[list[str], str]:
    """The folders without those that hold no trace of a run, and a note that names these; `runs/*` also gives the cache
    of references and earlier comparisons. If none holds a run, all of them."""
    runs = [folder for folder in folders if _may_be_run(Path(folder))]
    others = [folder for folder in folders if folder not in runs]
    if not runs or not others:
        return list(folders), ""
    return runs, f"Left out, since they hold no run (no run.json, recipe.yaml or sweeps.jsonl): {', '.join(others)}."


def _may_be_run(folder: Path) -> bool:
    files = RunFolder(folder)
    return not folder.is_dir() or any(path.exists() for path in (files.record, files.recipe, files.sweeps))


def places(folders: Sequence[str]) -> list[Path]:
    """The resolved folders, however they were written."""
    return [Path(folder).resolve() for folder in folders]


def comparison_text(content: Mapping[str, Any], said: Sequence[str]) -> str:
    """The comparison for a terminal, in 100 columns: tables, notes, and the runs' verdict lines."""
    lines = [f"{run['run']}: {run['verdict_line']}" for run in content["runs"] if run["verdict_line"]]
    parts = [as_text(table) for table in tables(content)]
    return "\n\n".join([*parts, *(fill(text, WIDTH) for text in [*said, *lines])])


def _json(content: Mapping[str, Any]) -> str:
    """One key per line: fully indented, the pairs of a hundred runs would be 400,000 lines."""
    lines = (
        f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False, allow_nan=False)}" for key, value in content.items()
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _texts(content: Mapping[str, Any], said: Sequence[str], form: str) -> dict[str, str]:
    """File name -> text; the first is printed."""
    name = f"compare.{ENDINGS[form]}"
    if form == TEXT:
        return {name: comparison_text(content, said) + "\n"}
    if form == CSV:
        return {name: as_csv(flat_models(content)), "compare_pairs.csv": as_csv(flat_pairs(content))}
    if form == JSON:
        return {name: _json({**content, "notes": list(said)})}
    write, escape = (as_markdown, markdown) if form == "markdown" else (as_latex, latex)
    return {name: "\n\n".join([*map(write, tables(content)), *map(escape, said)]) + "\n"}


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without the cyclic garbage collector: rows are trees, and it would walk all of them again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@_no_collection()
def main(arguments: list[str]) -> None:
    """Prints the comparison of the run folders in `arguments` and writes it, with its figures, under out=."""
    values, given = split(arguments, KEYS)
    _check(values, given)
    runs, pairs, notes = _of_logs(values, given) if named_log(given[0]) else _of_folders(values, given)
    out, form = Path(values.get("out", "runs/compare")), values.get("format", TEXT)
    if fault := writing_fault(out):
        raise UserError(f"out={out}: cannot be written ({fault}); name another folder")
    content = document(runs, pairs)
    texts = {out / name: text for name, text in _texts(content, notes, form).items()}
    pages = {_page(values["html"]): comparison_page(runs, tables(content), notes)} if "html" in values else {}
    for path, text in {**texts, **pages}.items():
        write_whole(path, text)
    drawn, undrawn = figures(runs, AXES[values.get("axis", "budget")]) if values.get("figures") != NONE else ({}, [])
    pictures = [save(figure, out / f"{name}.png") for name, figure in drawn.items()]
    print(next(iter(texts.values())), end="")
    said = [*undrawn, *(f"written: {path}" for path in (*texts, *pictures, *pages))]
    print("\n".join(said), file=sys.stdout if form == TEXT else sys.stderr)


def _of_folders(values: Mapping[str, str], folders: list[str]) -> tuple[list[Finished], Pairs, list[str]]:
    """The chosen sweeps of run folders, their paired differences, and the notes on them."""
    if "metric" in values:
        raise UserError(f"metric={values['metric']}: belongs to logs of other tools, given as {FORM}")
    if "against" in values and Path(values["against"]).resolve() not in places(folders):
        folders = [*folders, values["against"]]
    folders, others = without_others(folders)
    runs = read_runs(folders)
    against = runs[places(folders).index(Path(values["against"]).resolve())].name if "against" in values else None
    runs, note = chosen(runs, values.get("step", LAST))
    check_protocols(runs)
    return runs, paired(runs, against), [text for text in (others, note) if text]


def _of_logs(values: Mapping[str, str], given: Sequence[str]) -> tuple[list[Finished], Pairs, list[str]]:
    """The same for logs of other tools."""
    logs = [log for argument in given if (log := named_log(argument))]
    if len(logs) < len(given) or "step" in values:
        raise UserError(f"{', '.join(given)}: logs of other tools ({FORM}) cannot be compared with runs (or step=)")
    grades, left_out = grades_of(logs, values.get("metric"))
    against = values.get("against")
    if against is not None and against not in grades:
        raise UserError(f"against={against}: no log has this name; allowed: {', '.join(grades)}")
    runs = [as_run(name, each) for name, each in grades.items()]
    unknown = "Logs of other tools do not say whether they were measured by one protocol."
    return runs, differences_of(grades, against), [*left_out, unknown]


def _page(name: str) -> Path:
    """The file named by html=; raises UserError if it cannot be written."""
    page = Path(name)
    if fault := "it is a folder" if page.is_dir() else writing_fault(page.parent):
        raise UserError(f"html={page}: cannot be written ({fault}); name another file")
    return page


def _check(values: Mapping[str, str], folders: Sequence[str]) -> None:
    """Raises UserError for an argument that is neither a folder nor a key, and for a value that a key does not have."""
    unknown = [
        folder
        for folder in folders
        if folder.startswith("-") or ("=" in folder and not Path(folder).exists() and not named_log(folder))
    ]
    if unknown or not folders:
        raise UserError(
            f"{unknown[0]}: not a run folder" if unknown else "give at least one run folder: eval.compare RUN [RUN ...]"
        )
    for key, allowed in (("axis", AXES), ("format", ENDINGS), ("figures", FIGURES)):
        if values.get(key, next(iter(allowed))) not in allowed:
            raise UserError(f"{key}={values[key]}: unknown; allowed: {', '.join(allowed)}")


if __name__ == "__main__":
    run_command(main)
