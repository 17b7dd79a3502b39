"""Every ZeRO stage, with LoRA and in full, on one rank and on two: the same global batches give the same training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.train.cells import ADAPTERS, MATRIX, ROUGH, UNEVEN, VARIANTS
from tests.train.runs import rows, weights

pytestmark = pytest.mark.slow

TRAINABLE = {"lora": 84, "full": 68}  # 6 layers x 7 linears x 2 matrices; 6 x 11 + embedding + last norm, head tied
Cells = Callable[[int, str], Path]


def column(folder: Path, name: str) -> list[Any]:
    return [row[name] for row in rows(folder / "metrics.jsonl")]


def largest_difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max()) for name in one)


@pytest.mark.parametrize("name", [*MATRIX, *UNEVEN])
def test_two_ranks_lose_what_one_does(name: str, cell_of: Cells) -> None:
    one, two = (column(cell_of(ranks, name), "loss") for ranks in (1, 2))
    assert two == pytest.approx(one, rel=1e-5)


@pytest.mark.parametrize("name", MATRIX)
def test_two_ranks_train_the_tokens_that_one_does(name: str, cell_of: Cells) -> None:
    assert column(cell_of(2, name), "tokens") == column(cell_of(1, name), "tokens")


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("name", MATRIX)
def test_all_that_trains_moves_and_nothing_else(name: str, ranks: int, cell_of: Cells) -> None:
    found = json.loads((cell_of(ranks, name) / "moved.json").read_text())
    assert found == {"trainable": TRAINABLE[name[:4]], "still": [], "frozen_moved": []}


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("name", ["lora0", "lora1", "lora2", "lora3"])
def test_the_saved_adapter_is_whole(name: str, ranks: int, cell_of: Cells) -> None:
    saved = weights(cell_of(ranks, name) / "checkpoint-4")
    assert (len(saved), [name for name, tensor in saved.items() if not bool(tensor.any())]) == (TRAINABLE["lora"], [])


@pytest.mark.parametrize("name", MATRIX)
def test_exports_of_one_rank_and_of_two_are_equal(name: str, cell_of: Cells) -> None:
    one, two = (weights(cell_of(ranks, name) / "export") for ranks in (1, 2))
    assert largest_difference(one, two) < 1e-5


@pytest.mark.parametrize("name", ["lora1", "lora2", "lora3", "full1", "full2", "full3"])
def test_every_stage_exports_what_plain_torch_does(name: str, cell_of: Cells) -> None:
    plain, sharded = (weights(cell_of(1, each) / "export") for each in (f"{name[:4]}0", name))
    assert largest_difference(plain, sharded) < 1e-5


@pytest.mark.parametrize("name", VARIANTS)
def test_offload_checkpointing_accumulation_and_an_own_config_change_no_loss(name: str, cell_of: Cells) -> None:
    varied, plain = (column(cell_of(2, each), "loss") for each in (name, name.split("-")[0]))
    assert varied == pytest.approx(plain, rel=1e-5)


@pytest.mark.parametrize("name", ROUGH)
def test_bfloat16_loses_nearly_what_float32_does(name: str, cell_of: Cells) -> None:
    rough, exact = (column(cell_of(2, each), "loss") for each in (name, name.split("-")[0]))
    assert rough == pytest.approx(exact, rel=5e-2)
    assert rough != exact


@pytest.mark.parametrize("name", ROUGH)
def test_updates_below_bfloat16s_resolution_are_kept_in_float32(name: str, cell_of: Cells) -> None:
    """The optimizer's own copy of the weights is float32 and has moved where the bfloat16 weights could not."""
    (states, *_) = sorted((cell_of(2, name) / "checkpoint-4").glob("global_step4/*zero_pp_rank_0*optim_states.pt"))
    saved = torch.load(states, map_location="cpu", weights_only=False)["optimizer_state_dict"]
    master = saved.get("single_partition_of_fp32_groups") or saved["fp32_flat_groups"]
    assert {part.dtype for part in master} == {torch.float32}
    assert any(bool((part != part.bfloat16().float()).any()) for part in master)


@pytest.mark.parametrize("name", [*ADAPTERS, "lora3-checkpointed", "lora3-bfloat16"])
def test_every_kind_of_adapter_moves_whole(name: str, cell_of: Cells) -> None:
    found = json.loads((cell_of(2, name) / "moved.json").read_text())
    assert (found["still"], found["frozen_moved"]) == ([], [])


@pytest.mark.parametrize("name", [*ADAPTERS, "lora3-bfloat16", "full2-bfloat16"])
def test_what_they_trained_is_exported(name: str, cell_of: Cells) -> None:
    report = json.loads((cell_of(2, name) / "export" / "export_report.json").read_text())
    assert report["merged_difference"] <= 1e-3


def test_the_run_folder_shows_what_deepspeed_got(cell_of: Cells) -> None:
    found = json.loads((cell_of(2, "full2-own") / "deepspeed.json").read_text())
    batch = ("train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "train_batch_size", "gradient_clipping")
    assert [found[key] for key in batch] == [4, 1, 8, 1.0]
    assert found["zero_optimization"] == {"stage": 2, "reduce_bucket_size": 1000, "round_robin_gradients": True}


def test_without_deepspeed_there_is_nothing_to_show(cell_of: Cells) -> None:
    assert not (cell_of(1, "full0") / "deepspeed.json").exists()
