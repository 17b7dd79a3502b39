"""Run folders of finished cells, written by hand: two problems at budgets 4 and 8."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_prep.grading.grade import Grade
from eval.numbers.summary import sweep_rows
from eval.samples import GradedAnswer, GradedThought, read_sweep, write_samples
from recipes.loader import Loaded
from recipes.study import StudyRecipe
from recipes.sweep import VerdictSection
from runtime.files import write_rows
from runtime.run_folder import RunFolder
from train.study.grid import Cell, cells_of

Right = Sequence[tuple[bool, bool]]
"""of each problem, whether it is right at 4 and at 8 tokens"""
UNPRUNED: Right = [(False, True), (True, True)]
PRUNED: Right = [(False, False), (False, False)]


def study(**more: Any) -> Loaded[StudyRecipe]:
    fields = {"question": "Why?", "base": "full_recovery.yaml", "seeds": [1, 2], "shared": ["sweep.budgets=[4, 8]"]}
    arms = {"a": {"title": "the first"}, "b": {"title": "the second"}}
    recipe = StudyRecipe.model_validate({**fields, "arms": arms, **more})
    return Loaded(recipe, "study", Path("study.yaml"), ("recipe=study.yaml",))


def thoughts(right: Right) -> list[GradedThought]:
    """A thought for each problem; it closes after 6 tokens where it is right at 8."""
    return [
        GradedThought(
            f"p{number}",
            0,
            "close" if later else "budget",
            0,
            "",
            (
                GradedAnswer((4,), 4, 1, True, False, "", Grade(early, "", "")),
                GradedAnswer((8,), 6 if later else 8, 1, True, False, "", Grade(later, "", "")),
            ),
        )
        for number, (early, later) in enumerate(right)
    ]


def write_cell(cell: Cell, right: Right, protocol: str = "one") -> None:
    """The folder of a cell that ended after step 10 with these answers."""
    folder = RunFolder(cell.folder)
    sweeps = {}
    for model, step, answers in (("unpruned", 0, UNPRUNED), ("pruned", 0, PRUNED), ("run", 10, right)):
        file = folder.samples / "chain" / f"{model}-{step:06d}.jsonl"
        header = {"model": model, "step": step, "suite": "chain", "budgets": [4, 8], "protocol": protocol}
        file.parent.mkdir(parents=True, exist_ok=True)
        write_samples(file, header, thoughts(answers))
        sweeps[model] = read_sweep(file)
    section = VerdictSection()
    rows = [row for model in ("unpruned", "pruned") for row in sweep_rows(sweeps[model], None, None, section)]
    rows += sweep_rows(sweeps["run"], sweeps["unpruned"], sweeps["pruned"], section)
    write_rows(folder.sweeps, rows)
    write_rows(folder.metrics, [{"step": step, "tokens": 50, "seconds": 2.0, "sweep_seconds": 0.5} for step in (5, 10)])
    data = {"labelled_share": 0.6, "traces_kept": 20, "tokens": 800}
    facts = {"recipe": cell.recipe.model_dump(mode="json"), "finished": "now", "data": data}
    folder.record.write_text(json.dumps(facts))


def finished(out: Path, **right: Right) -> list[Cell]:
    """The cells of `study` with a folder each; right: the answers of an arm."""
    cells = cells_of(study(), out)
    for cell in cells:
        write_cell(cell, right.get(cell.arm.name, UNPRUNED))
    return cells
