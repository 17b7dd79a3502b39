"""What offload needs, by hand; refusals by key; and what this machine's build of DeepSpeed really lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.errors import UserError
from recipes.loader import load
from recipes.zero import ZeroSection
from tests.train.runs import MODEL, small, weights
from train.offload import (
    Need,
    Sizes,
    check_operators,
    check_space,
    check_stage,
    check_zero,
    count,
    free_bytes,
    missing_operators,
    needs,
    stages_of_the_build,
)

SIZES = Sizes(parameters=1000, trainable=100, weight_bytes=2)


def test_a_stage_that_the_build_lacks_is_named() -> None:
    with pytest.raises(UserError, match=r"zero\.stage=3: this build of DeepSpeed has stages 0, 1, 2"):
        check_stage(3, {0, 1, 2})


def test_the_installed_build_has_every_stage_that_a_recipe_can_name() -> None:
    assert stages_of_the_build() >= {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("zero", "wanted"),
    [
        (ZeroSection(stage=2, offload_optimizer="cpu"), [("offload_optimizer", "cpu", 1600)]),
        (ZeroSection(stage=3, offload_parameters="cpu"), [("offload_parameters", "cpu", 2000)]),
        (
            ZeroSection(stage=3, offload_optimizer="nvme", offload_parameters="cpu", nvme_dir=Path("x")),
            [("offload_optimizer", "nvme", 1600), ("offload_parameters", "cpu", 2000)],
        ),
    ],
)
def test_needs_by_hand(zero: ZeroSection, wanted: list[tuple[str, str, int]]) -> None:
    assert [(each.key, each.place, each.needed_bytes) for each in needs(zero, SIZES, 1.0)] == wanted


def test_a_machine_with_half_of_the_ranks_needs_half() -> None:
    (need,) = needs(ZeroSection(stage=2, offload_optimizer="cpu"), SIZES, 0.5)
    assert need.needed_bytes == 800


def test_offload_without_memory_is_refused_with_both_figures() -> None:
    wanted = [Need("offload_optimizer", "cpu", 3e9), Need("offload_parameters", "cpu", 2e9)]
    with pytest.raises(
        UserError,
        match="zero.offload_optimizer=cpu and zero.offload_parameters=cpu: about 5 GB of memory .* 4 GB are free",
    ):
        check_space(wanted, {"cpu": 4 * 10**9})


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
    with pytest.raises(UserError, match=r"zero\.nvme_dir=.*file/x: cannot be made"):
        free_bytes(tmp_path / "file" / "x")


def test_an_operator_that_the_build_lacks_is_named() -> None:
    zero = ZeroSection(stage=3, offload_optimizer="nvme", nvme_dir=Path("x"))
    with pytest.raises(UserError, match=r"zero\.offload_optimizer=nvme: .* lacks the operator aio"):
        check_operators(zero, {"offload_optimizer": "aio"})


def test_nvme_is_let_through_where_deepspeed_can_build_its_operator_and_nowhere_else() -> None:
    from deepspeed.ops.op_builder import AsyncIOBuilder

    zero = ZeroSection(stage=3, offload_parameters="nvme", nvme_dir=Path("x"))
    assert bool(missing_operators(zero, "cpu")) is not AsyncIOBuilder().is_compatible(verbose=False)


def test_a_model_is_counted_without_weights() -> None:
    recipe = load(small("full", Path("run"), Path("cache")))
    whole = sum(tensor.numel() for tensor in weights(MODEL).values())
    assert count(recipe) == Sizes(whole, whole, 4)


def test_an_adapter_is_counted_by_what_trains() -> None:
    """Each linear of in x out gets r x (in + out); there are 8 layers."""
    recipe = load(small("lora", Path("run"), Path("cache"), "adapter.r=2", "adapter.targets=[q_proj, v_proj]"))
    (q, v) = (weights(MODEL)[f"model.layers.0.self_attn.{name}_proj.weight"].shape for name in "qv")
    assert count(recipe).trainable == 8 * 2 * (sum(q) + sum(v))


def test_a_small_model_finds_space(tmp_path: Path) -> None:
    check_zero(load(small("full", tmp_path, tmp_path, "zero.offload_optimizer=cpu")), "cpu", 2)
