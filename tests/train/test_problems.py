"""The problems that a run keeps for its report."""

from __future__ import annotations

from pathlib import Path

from data_prep.models import load_tokenizer
from eval.sweep import make_sweep_spec
from recipes.loader import load
from runtime.files import read_rows
from runtime.run_folder import RunFolder
from tests.train.runs import small
from train.problems import keep_problems


def test_the_problems_of_the_deciding_suite_are_kept(tmp_path: Path) -> None:
    recipe = load(small("lora", tmp_path, tmp_path))
    spec = make_sweep_spec(recipe.sweep, recipe.data.format, load_tokenizer(recipe.model.unpruned, recipe.model))
    keep_problems(spec, "chain", RunFolder(tmp_path))
    problems = next(s for s in spec.suites if s.name == "chain").problems
    kept = read_rows(RunFolder(tmp_path).problems)
    assert [(row["suite"], row["id"], row["question"], row["answer"]) for row in kept] == [
        ("chain", each.id, each.question, each.answer) for each in problems
    ]
