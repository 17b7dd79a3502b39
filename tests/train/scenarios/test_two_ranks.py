"""Two ranks do what one does: the same loss for the same global batch, the same sweep for the same weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_prep.models import load_model, load_tokenizer
from eval.numbers.summary import sweep_rows
from eval.sweep import make_sweep_spec, suite_sweep
from recipes.loader import load
from runtime.ranks import ALONE
from tests.eval.worlds import sweep_model
from tests.train.runs import ours, rows, small

pytestmark = pytest.mark.slow

MEASURED = ("suite", "budget", "accuracy", "closed", "cut", "tokens_spent", "problems", "protocol")


@pytest.mark.parametrize("run", ["full_zero2", "full_zero3"])
def test_loss_is_that_of_one_rank_with_the_same_global_batch(
    run: str, full: Path, request: pytest.FixtureRequest, here: Callable[..., Path]
) -> None:
    folder: Path = request.getfixturevalue(run)
    alone = full if run == "full_zero2" else here("full", "trainer.max_steps=4")
    one, two = ([row["loss"] for row in rows(run / "metrics.jsonl")] for run in (alone, folder))
    assert two == pytest.approx(one, rel=1e-3)


def swept(model: str, folder: Path) -> list[dict[str, Any]]:
    """The final sweep of a run, or the sweep of an exported folder by one rank (13 problems do not halve)."""
    found = [row for row in rows(folder / "sweeps.jsonl") if row["model"] == model and row["budget"] is not None]
    last = max(row["step"] for row in found)
    return [{key: row[key] for key in MEASURED} for row in found if row["step"] == last]


def swept_alone(export: Path, recipe_name: str) -> list[dict[str, Any]]:
    recipe = load(small(recipe_name, export, export))
    plan = make_sweep_spec(recipe.sweep, recipe.data.format, load_tokenizer(str(export), recipe.model))
    thoughts = sweep_model(load_model(str(export), recipe.model), plan, ALONE)
    found = [
        row
        for suite in plan.suites
        for row in sweep_rows(
            suite_sweep(suite, plan, thoughts[suite.name], "run", 0), None, None, recipe.sweep.verdict
        )
    ]
    return [{key: row[key] for key in MEASURED} for row in found if row["budget"] is not None]


@pytest.mark.parametrize(
    ("run", "recipe"), [("full_zero2", "full"), ("full_zero3", "full"), ("lora_zero2", "lora"), ("lora_zero3", "lora")]
)
def test_a_sharded_sweep_equals_that_of_one_rank(run: str, recipe: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(run)
    assert swept("run", folder) == swept_alone(folder / "export", recipe)


@pytest.mark.parametrize("run", ["full_zero2", "lora_zero3"])
def test_nothing_is_printed_twice(run: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(run)
    lines = ours((folder.parent / "out.txt").read_text())
    once = [line for line in lines if line.startswith(("data ", "batch ", "step 4, ", "export "))]
    assert len(once) == len(set(once)) == 4


@pytest.mark.parametrize("run", ["full_zero2", "lora_zero3"])
def test_no_library_warns(run: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(run)
    assert [line for line in ours((folder.parent / "err.txt").read_text()) if "arning" in line] == []
