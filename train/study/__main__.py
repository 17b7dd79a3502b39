"""`python -m train.study recipe=study.yaml out=DIR [jobs=N] [key=value …]`: runs a grid of runs and writes one page.

Every arm of the recipe is trained with every seed, one process each, as many at a time as there are GPUs or cores
(`gpus=8`: each on 8 GPUs). The expectations are recorded first. The same command resumes a stopped study; a finished
cell is never run again. `plan=true` runs nothing and estimates the cost of all runs with `train.plan`.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from recipes.command import DONE, FAILED, run, split
from recipes.errors import UserError
from recipes.loader import Loaded, load_as
from recipes.reading import parse_value
from recipes.study import StudyRecipe

OWN = {
    "out": "folder of the study: the cells' run folders, their shared caches, study.json, study.md and study.html",
    "jobs": "cells that run at a time; default: as many as fit on the GPUs; without GPUs, one per core",
    "gpus": "GPUs per cell, with one rank each; default 1",
    "plan": "true: run nothing, and sum the estimates of train.plan for all cells; takes the keys below",
    "card": "for plan: name of the GPUs, such as H100",
    "gpu_memory_gb": "for plan: memory of one GPU in GiB",
    "base_gb": "for plan: memory of a rank before a model is loaded, in GiB; default: measured once, as in train.plan",
    "traces": "for plan: number of traces, if they cannot be read here (with tokens)",
    "tokens": "for plan: their total tokens (with traces)",
    "tokens_per_second": "for plan: training tokens per second of a cell, as you measured",
}
NUMBERS = ("gpu_memory_gb", "base_gb", "traces", "tokens", "tokens_per_second")
WHOLE = ("gpus", "traces", "tokens", "jobs")
PREEMPTED = 75


def main(arguments: list[str]) -> int:
    """Checks everything, runs unfinished cells, writes the page. Returns the exit code: 1 if a cell failed."""
    texts, rest = split(arguments, OWN, StudyRecipe)
    plan = _plan(texts)
    numbers = {key: number(key, texts[key]) for key in (*NUMBERS, "gpus", "jobs") if key in texts}
    loaded = load_as(rest, StudyRecipe)
    if plan:
        return _price(loaded, numbers, texts.get("card", ""))
    if not texts.get("out"):
        raise UserError("train.study: out=DIR is missing: name a folder for the study's runs and page")
    return _study(loaded, Path(texts["out"]).absolute(), numbers)


def _plan(texts: Mapping[str, str]) -> bool:
    text = texts.get("plan", "false")
    if text not in ("true", "false"):
        raise UserError(f"plan={text}: must be true or false ({OWN['plan']})")
    wrong = [key for key in (*NUMBERS, "card") if key in texts and text == "false"]
    if wrong:
        raise UserError(f"{wrong[0]}={texts[wrong[0]]}: is only for an estimate; add plan=true")
    return text == "true"


def number(key: str, text: str) -> float:
    """The number above 0 in `text`. UserError if there is none."""
    try:
        value = parse_value(text)
    except ValueError:
        value = text
    kinds = (int,) if key in WHOLE else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not value > 0:
        raise UserError(
            f"{key}={text}: must be {'a whole number' if key in WHOLE else 'a number'} above 0 ({OWN[key]})"
        )
    return float(value)


def _price(loaded: Loaded[StudyRecipe], numbers: Mapping[str, float], card: str) -> int:
    from eval.show.tables import align
    from train.study.grid import cells_of
    from train.study.price import price_lines, prices

    with TemporaryDirectory() as folder:
        cells = cells_of(loaded, Path(folder) / "out")
        print(align(price_lines(prices(cells, numbers, card, Path(folder)))))
    return DONE


def _study(loaded: Loaded[StudyRecipe], out: Path, numbers: Mapping[str, float]) -> int:
    from runtime.files import writing_fault
    from runtime.ranks import ALONE
    from runtime.run_lock import alone_in
    from train.study.blocks import Missing
    from train.study.cells import is_finished, run_cells, slots, usable_cores, visible_gpus
    from train.study.grid import arms_of, cells_of
    from train.study.record import check_record, write_record
    from train.study.write import write_page

    cells = cells_of(loaded, out)
    check_record(loaded, out)
    jobs = int(numbers["jobs"]) if "jobs" in numbers else None
    places = slots(jobs, visible_gpus(), usable_cores(), int(numbers.get("gpus", 1)))
    open_cells = [cell for cell in cells if not is_finished(cell)]
    if fault := writing_fault(out):
        raise UserError(f"out={out}: cannot be written ({fault}); name another folder")
    signal.signal(signal.SIGTERM, _stop)
    with alone_in(out, ALONE, print):
        write_record(loaded, out)
        said = f"{len(cells) - len(open_cells)} finished before, {len(places)} at a time"
        print(f"{len(cells)} cells, {said}", flush=True)
        failed = {
            outcome.cell.name: f"failed: {outcome.said}" for outcome in run_cells(open_cells, places) if outcome.code
        }
        done = [cell for cell in cells if cell.name not in failed]
        missing = Missing(tuple(arm for arm in arms_of(loaded.recipe) if arm.missing), tuple(failed.items()))
        for file in write_page(loaded, done, missing, out) if done else []:
            print(f"written {file}", flush=True)
    if failed:
        print(f"{len(failed)} cells FAILED: {'; '.join(failed)}. The same command runs them again", flush=True)
    return FAILED if failed else DONE


def _stop(signal_number: int, frame: FrameType | None) -> None:
    """Handles a stop signal: `run_cells` forwards it to the cells, which save."""
    print("asked to stop: finished work is kept; the same command resumes", flush=True)
    raise SystemExit(PREEMPTED)


if __name__ == "__main__":
    run(main)
