"""The `zero` section as a DeepSpeed configuration, by hand for every stage, and DeepSpeed's own judgement of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from recipes.errors import UserError
from recipes.loader import load
from recipes.schema import Recipe
from recipes.zero import ZeroSection
from tests.train.runs import small
from train.zero import config_of, conflicts, deepspeed_config, read_config

CONFIGS = [
    ZeroSection(stage=0),
    ZeroSection(stage=1),
    ZeroSection(stage=2),
    ZeroSection(stage=3),
    ZeroSection(stage=2, offload_optimizer="cpu"),
    ZeroSection(stage=3, offload_optimizer="cpu", offload_parameters="cpu"),
]


def zero(device: str = "cpu", **fields: Any) -> dict[str, Any]:
    part: dict[str, Any] = deepspeed_config(ZeroSection(bucket_size=1000, **fields), device)["zero_optimization"]
    return part


@pytest.mark.parametrize("stage", [1, 2])
def test_stages_1_and_2_gather_in_buckets(stage: int) -> None:
    assert zero(stage=stage) == {
        "stage": stage,
        "overlap_comm": False,
        "contiguous_gradients": True,
        "reduce_bucket_size": 1000,
        "allgather_bucket_size": 1000,
    }


def test_stage_3_saves_whole_weights() -> None:
    assert zero(stage=3) == {
        "stage": 3,
        "overlap_comm": False,
        "contiguous_gradients": True,
        "reduce_bucket_size": 1000,
        "stage3_prefetch_bucket_size": 1000,
        "stage3_gather_16bit_weights_on_model_save": True,
    }


def test_deepspeeds_clock_that_waits_for_the_gpu_is_off() -> None:
    assert deepspeed_config(ZeroSection(), "cuda")["timers"] == {"throughput": {"enabled": False}}


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


def test_what_goes_to_a_disk_says_where() -> None:
    part = zero(stage=3, offload_optimizer="nvme", nvme_dir=Path("disk"))
    assert part["offload_optimizer"] == {"device": "nvme", "pin_memory": False, "nvme_path": "disk"}


def with_file(tmp_path: Path, config: Any, *overrides: str) -> Recipe:
    """A recipe of micro batch 8, learning rate 5e-3 and clipping at 1.0 with a DeepSpeed JSON of its own."""
    file = tmp_path / "own.json"
    file.write_text(json.dumps(config))
    return load(small("lora", tmp_path, tmp_path, f"zero.config={file}", *overrides))


def config_of_recipe(recipe: Recipe, ranks: int) -> dict[str, Any]:
    return config_of(recipe.zero, recipe.model, recipe.trainer, "cpu", ranks)


def test_every_conflict_with_the_recipe_is_named_at_once(tmp_path: Path) -> None:
    config = {
        "train_batch_size": 99,
        "train_micro_batch_size_per_gpu": 3,
        "gradient_accumulation_steps": 7,
        "gradient_clipping": 0.5,
        "bf16": {"enabled": True},
        "fp16": {"enabled": True},
        "optimizer": {"type": "AdamW", "params": {"lr": 1.0}},
        "scheduler": {"type": "WarmupLR"},
        "zero_optimization": {"stage": 1, "offload_optimizer": {"device": "cpu"}},
    }
    recipe = with_file(tmp_path, config, "trainer.optim=adamw_torch")
    assert [line.split(" against ")[0] for line in conflicts(config, recipe.zero, recipe.model, recipe.trainer, 2)] == [
        "train_micro_batch_size_per_gpu=3",
        "gradient_accumulation_steps=7",
        "train_batch_size=99",
        "gradient_clipping=0.5",
        "optimizer.params.lr=1.0",
        "bf16.enabled=true",
        "zero_optimization.stage=1",
        "zero_optimization.offload_optimizer.device=cpu",
        "fp16.enabled=true",
        "optimizer",
        "scheduler",
    ]


def test_a_conflict_is_a_mistake_with_both_keys(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gradient_clipping=0\.5 against trainer\.max_grad_norm=1\.0"):
        config_of_recipe(with_file(tmp_path, {"gradient_clipping": 0.5}), 2)


def test_an_own_config_keeps_its_keys_and_gets_what_it_lacks(tmp_path: Path) -> None:
    config = {
        "wall_clock_breakdown": True,
        "gradient_clipping": 1.0,
        "train_batch_size": 16,
        "zero_optimization": {"stage": "auto", "reduce_bucket_size": 7, "allgather_bucket_size": "auto"},
    }
    completed = config_of_recipe(with_file(tmp_path, config, "zero.bucket_size=5"), 2)
    assert (completed["wall_clock_breakdown"], completed["train_micro_batch_size_per_gpu"]) == (True, "auto")
    assert completed["zero_optimization"] == {"stage": 2, "reduce_bucket_size": 7, "allgather_bucket_size": 5}


@pytest.mark.parametrize("section", [{}, {"offload_optimizer": {"device": "auto", "pin_memory": "auto"}}])
def test_an_own_config_offloads_what_the_recipe_does(section: dict[str, Any], tmp_path: Path) -> None:
    recipe = with_file(tmp_path, {"zero_optimization": section}, "zero.offload_optimizer=cpu")
    offload = config_of_recipe(recipe, 1)["zero_optimization"]["offload_optimizer"]
    assert offload == {"device": "cpu", "pin_memory": False}


def test_an_own_config_of_stage_3_saves_whole_weights(tmp_path: Path) -> None:
    name = "stage3_gather_16bit_weights_on_model_save"
    completed = config_of_recipe(with_file(tmp_path, {"zero_optimization": {"stage": 3}}, "zero.stage=3"), 2)
    assert completed["zero_optimization"][name] is True
    with pytest.raises(UserError, match=f"{name}=false"):
        config_of_recipe(with_file(tmp_path, {"zero_optimization": {"stage": 3, name: False}}, "zero.stage=3"), 2)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{", "not valid JSON"),
        ("[1]", "a JSON object"),
        (None, "cannot be read"),
        ('{"bf16": {}, "aio": {}, "bf16": {"enabled": true}}', "not valid JSON \\('bf16' occurs 2 times in one object"),
        ('{"zero_optimization": {"stage": 2, "stage": 3}}', "'stage' occurs 2 times"),
        ('{"zero_optimization": null}', "zero_optimization=.* must be"),
    ],
)
def test_a_file_that_is_no_configuration_is_named(text: str | None, word: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "own.json").write_text(text)
    with pytest.raises(UserError, match=rf"zero\.config=.*own\.json: .*{word}"):
        read_config(tmp_path / "own.json")


def test_a_mark_of_byte_order_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "own.json").write_bytes(b'\xef\xbb\xbf{"aio": {}}')
    assert read_config(tmp_path / "own.json") == {"aio": {}}


def test_what_deepspeed_would_refuse_is_a_mistake_in_the_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"zero\.config=.*own\.json: aio=5 must be a JSON object; .*zero_optimisation"):
        config_of_recipe(with_file(tmp_path, {"aio": 5, "zero_optimisation": {}}), 1)


@pytest.mark.parametrize("section", CONFIGS, ids=str)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_deepspeed_accepts_it(section: ZeroSection, device: str) -> None:
    from deepspeed.runtime.config import DeepSpeedConfig

    config = deepspeed_config(section, device)
    config |= {
        "train_micro_batch_size_per_gpu": 2,
        "gradient_accumulation_steps": 3,
        "train_batch_size": 6,
        "gradient_clipping": 1.0,
        "bf16": {"enabled": False},
    }
    config.pop("optimizer", None)
    assert DeepSpeedConfig(config).zero_optimization_stage == section.stage
