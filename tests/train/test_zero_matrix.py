"""Every ZeRO stage, with LoRA and in full, on one rank and on two: the same global batches give the same training.

Two launches in all: each goes through the eight cells in one process a rank (`tests.train.zero_matrix`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.train.runs import launch_module, rows, small, weights

pytestmark = pytest.mark.slow

GLOBAL_BATCH = 8
SHORT = ("trainer.max_steps=4", "trainer.save_steps=2", "trainer.logging_steps=1", "sweep.every_steps=1000",
         "sweep.suites.0.size=2", "sweep.suites.1.size=2", "sweep.suites.2.size=2", "trainer.disable_tqdm=true")
CELLS = [(recipe, stage) for recipe in ("lora", "full") for stage in range(4)]
TRAINABLE = {"lora": 84, "full": 68}  # 6 layers x 7 linears x 2 matrices; 6 x 11 + embedding + last norm, head tied
IDS = [f"{recipe}-zero{stage}" for recipe, stage in CELLS]
Run = Callable[[int, str, int], Path]


@pytest.fixture(scope="session")
def run_of(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Run:
    """The folder of a run: how many ranks, which recipe, which stage."""
    roots: dict[int, Path] = {}

    def folder(ranks: int, recipe: str, stage: int) -> Path:
        if ranks not in roots:
            roots[ranks] = tmp_path_factory.mktemp(f"matrix{ranks}")
            micro_batch = f"trainer.per_device_train_batch_size={GLOBAL_BATCH // ranks}"
            cells = [small(each, roots[ranks] / f"{each}{zero}", cache, f"zero.stage={zero}", micro_batch, *SHORT)
                     for each, zero in CELLS]
            (roots[ranks] / "cells.json").write_text(json.dumps(cells))
            done = launch_module("tests.train.zero_matrix", [str(roots[ranks] / "cells.json")], ranks)
            assert done.returncode == 0, done.stderr[-2000:]
        return roots[ranks] / f"{recipe}{stage}"

    return folder


def column(folder: Path, name: str) -> list[Any]:
    return [row[name] for row in rows(folder / "metrics.jsonl")]


def largest_difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max()) for name in one)


@pytest.mark.parametrize(("recipe", "stage"), CELLS, ids=IDS)
def test_two_ranks_lose_what_one_does(recipe: str, stage: int, run_of: Run) -> None:
    one, two = (column(run_of(ranks, recipe, stage), "loss") for ranks in (1, 2))
    assert two == pytest.approx(one, rel=1e-5)


@pytest.mark.parametrize(("recipe", "stage"), CELLS, ids=IDS)
def test_two_ranks_train_the_tokens_that_one_does(recipe: str, stage: int, run_of: Run) -> None:
    assert column(run_of(2, recipe, stage), "tokens") == column(run_of(1, recipe, stage), "tokens")


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize(("recipe", "stage"), CELLS, ids=IDS)
def test_all_that_trains_moves_and_nothing_else(recipe: str, stage: int, ranks: int, run_of: Run) -> None:
    found = json.loads((run_of(ranks, recipe, stage) / "moved.json").read_text())
    assert found == {"trainable": TRAINABLE[recipe], "still": [], "frozen_moved": []}


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("stage", range(4))
def test_the_saved_adapter_is_whole(stage: int, ranks: int, run_of: Run) -> None:
    saved = weights(run_of(ranks, "lora", stage) / "checkpoint-4")
    assert (len(saved), [name for name, tensor in saved.items() if not bool(tensor.any())]) == (TRAINABLE["lora"], [])


@pytest.mark.parametrize(("recipe", "stage"), CELLS, ids=IDS)
def test_exports_of_one_rank_and_of_two_are_equal(recipe: str, stage: int, run_of: Run) -> None:
    one, two = (weights(run_of(ranks, recipe, stage) / "export") for ranks in (1, 2))
    assert largest_difference(one, two) < 1e-5


@pytest.mark.parametrize("stage", [1, 2, 3])
@pytest.mark.parametrize("recipe", ["lora", "full"])
def test_every_stage_exports_what_plain_torch_does(recipe: str, stage: int, run_of: Run) -> None:
    plain, sharded = (weights(run_of(1, recipe, each) / "export") for each in (0, stage))
    assert largest_difference(plain, sharded) < 1e-5
