"""The `zero` section as a DeepSpeed configuration, by hand for every stage, and DeepSpeed's own judgement of it."""

from __future__ import annotations

from typing import Any

import pytest

from recipes.zero import ZeroSection
from train.zero import deepspeed_config

CONFIGS = [
    ZeroSection(stage=0), ZeroSection(stage=1), ZeroSection(stage=2), ZeroSection(stage=3),
    ZeroSection(stage=2, offload_optimizer="cpu"),
    ZeroSection(stage=3, offload_optimizer="cpu", offload_parameters="cpu")]


def zero(device: str = "cpu", **fields: Any) -> dict[str, Any]:
    part: dict[str, Any] = deepspeed_config(ZeroSection(bucket_size=1000, **fields), device)["zero_optimization"]
    return part


@pytest.mark.parametrize("stage", [1, 2])
def test_stages_1_and_2_gather_in_buckets(stage: int) -> None:
    assert zero(stage=stage) == {
        "stage": stage, "overlap_comm": False, "contiguous_gradients": True, "reduce_bucket_size": 1000,
        "allgather_bucket_size": 1000}


def test_stage_3_saves_whole_weights() -> None:
    assert zero(stage=3) == {
        "stage": 3, "overlap_comm": False, "contiguous_gradients": True, "reduce_bucket_size": 1000,
        "stage3_prefetch_bucket_size": 1000, "stage3_gather_16bit_weights_on_model_save": True}


def test_communication_overlaps_on_a_gpu() -> None:
    assert zero("cuda", stage=2)["overlap_comm"] is True


def test_offload_names_the_place_of_each_part() -> None:
    part = zero("cuda", stage=3, offload_optimizer="cpu", offload_parameters="cpu")
    pinned = {"device": "cpu", "pin_memory": True}
    assert (part["offload_optimizer"], part["offload_param"]) == (pinned, pinned)


@pytest.mark.parametrize(("section", "device"), [(CONFIGS[2], "cuda"), (CONFIGS[4], "cpu")])
def test_the_trainers_optimizer_is_used_where_nothing_leaves_a_gpu(section: ZeroSection, device: str) -> None:
    assert "optimizer" not in deepspeed_config(section, device)


def test_states_offloaded_from_a_gpu_get_deepspeeds_optimizer() -> None:
    assert deepspeed_config(CONFIGS[4], "cuda")["optimizer"]["type"] == "AdamW"


@pytest.mark.parametrize("section", CONFIGS, ids=str)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_deepspeed_accepts_it(section: ZeroSection, device: str) -> None:
    from deepspeed.runtime.config import DeepSpeedConfig

    config = deepspeed_config(section, device)
    config |= {"train_micro_batch_size_per_gpu": 2, "gradient_accumulation_steps": 3, "train_batch_size": 6,
               "gradient_clipping": 1.0, "bf16": {"enabled": False}}
    config.pop("optimizer", None)
    assert DeepSpeedConfig(config).zero_optimization_stage == section.stage
