"""What offload needs, by hand; refusals by key; and what this machine's build of DeepSpeed really lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.errors import UserError
from recipes.loader import load
from recipes.schema import Recipe
from recipes.zero import ZeroSection
from tests.train.runs import small
from train.offload import (
    Need,
    _share_of_this_machine,
    check_operators,
    check_space,
    check_stage,
    check_zero,
    free_bytes,
    missing_operators,
    needs,
    stages_of_the_build,
)
from train.sizes import Sizes

SIZES = Sizes(unpruned=1200, total=1000, trainable=100, largest=50, persistent=10, head=50, layers=2, tied=True)


def test_a_stage_that_the_build_lacks_is_named() -> None:
    with pytest.raises(UserError, match=r"zero\.stage=3: this build of DeepSpeed has stages 0, 1, 2"):
        check_stage(3, {0, 1, 2})


def test_the_installed_build_has_every_stage_that_a_recipe_can_name() -> None:
    assert stages_of_the_build() >= {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("zero", "needed"),
    [
        (ZeroSection(stage=2, offload_optimizer="cpu"), [("offload_optimizer", "cpu", 1600)]),
        (ZeroSection(stage=3, offload_parameters="cpu"), [("offload_parameters", "cpu", 2000)]),
        (
            ZeroSection(stage=3, offload_optimizer="nvme", offload_parameters="cpu", nvme_dir=Path("x")),
            [("offload_optimizer", "nvme", 1600), ("offload_parameters", "cpu", 2000)],
        ),
    ],
)
def test_needs_by_hand(zero: ZeroSection, needed: list[tuple[str, str, int]]) -> None:
    assert [
        (each.key, each.place, each.needed_bytes) for each in needs(zero, SIZES, weight_bytes=2, share=1.0)
    ] == needed


def test_a_machine_with_half_of_the_ranks_needs_half() -> None:
    (need,) = needs(ZeroSection(stage=2, offload_optimizer="cpu"), SIZES, weight_bytes=2, share=0.5)
    assert need.needed_bytes == 800


def test_offload_without_memory_is_refused_with_both_figures() -> None:
    needed = [Need("offload_optimizer", "cpu", 3e9), Need("offload_parameters", "cpu", 2e9)]
    with pytest.raises(
        UserError,
        match="zero.offload_optimizer=cpu and zero.offload_parameters=cpu: about 5 GB of memory .* 4 GB are free",
    ):
        check_space(needed, {"cpu": 4 * 10**9})


def test_offload_without_disk_is_refused() -> None:
    with pytest.raises(UserError, match=r"zero.offload_optimizer=nvme: about 5 GB of disk below zero.nvme_dir"):
        check_space([Need("offload_optimizer", "nvme", 5e9)], {"cpu": 10**12, "nvme": 10**9})


def test_what_fits_is_let_through() -> None:
    check_space(
        [Need("offload_optimizer", "nvme", 5e8), Need("offload_parameters", "cpu", 1e12)],
        {"cpu": 10**12, "nvme": 10**9},
    )


def test_a_folder_for_nvme_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"zero\.nvme_dir=.*file/x: cannot be created"):
        free_bytes(tmp_path / "file" / "x")


def test_an_operator_that_the_build_lacks_is_named() -> None:
    zero = ZeroSection(stage=3, offload_optimizer="nvme", nvme_dir=Path("x"))
    with pytest.raises(UserError, match=r"zero\.offload_optimizer=nvme: .* lacks the operator aio"):
        check_operators(zero, {"offload_optimizer": "aio"})


def test_nvme_is_let_through_where_deepspeed_can_build_its_operator_and_nowhere_else() -> None:
    from deepspeed.ops.op_builder import AsyncIOBuilder

    zero = ZeroSection(stage=3, offload_parameters="nvme", nvme_dir=Path("x"))
    assert bool(missing_operators(zero, "cpu")) is not AsyncIOBuilder().is_compatible(verbose=False)


def check(recipe: Recipe) -> None:
    check_zero(recipe.zero, recipe.model, recipe.prune, recipe.adapter, "cpu", 2)


def test_a_small_model_finds_space(tmp_path: Path) -> None:
    check(load(small("full", tmp_path, tmp_path, "zero.offload_optimizer=cpu")))


def test_a_machine_is_asked_for_the_share_of_its_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")
    assert _share_of_this_machine(ranks=4) == 0.25
