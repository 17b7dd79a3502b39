"""The trainer section as SFTConfig, and the batch arithmetic by hand and against the real Trainer."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from trl import SFTConfig

from data_prep.models import load_model
from recipes.errors import UserError
from recipes.loader import load
from recipes.schema import Recipe
from runtime.ranks import ALONE
from tests.train.runs import small, trainer_of
from train.arguments import arithmetic, checkpointing_kwargs, checkpoints_activations, make_arguments
from train.inputs import read_inputs


def arguments_of(*overrides: str) -> SFTConfig:
    recipe = load(small("lora", Path("run"), Path("cache"), "zero.stage=0", *overrides))
    return make_arguments(recipe, Path("somewhere"))


def test_the_run_folder_takes_what_the_trainer_writes() -> None:
    assert arguments_of().output_dir == "somewhere"


def test_a_cpu_is_used_where_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert arguments_of().use_cpu is True


@pytest.mark.parametrize(("dtype", "bf16"), [("float32", False), ("bfloat16", True)])
def test_bf16_only_for_bfloat16(dtype: str, bf16: bool) -> None:
    assert arguments_of(f"model.dtype={dtype}").bf16 is bf16


def test_the_recipes_seed_is_that_of_weights_and_of_data() -> None:
    arguments = arguments_of("seed=7")
    assert (arguments.seed, arguments.data_seed) == (7, 7)


def test_nothing_is_reported_behind_our_back() -> None:
    assert arguments_of().report_to == []


def test_other_trackers_are_the_trainers_and_wandb_is_ours() -> None:
    arguments = arguments_of("trainer.report_to=[wandb, tensorboard]", "wandb.name=mine", "wandb.project=ours")
    assert (arguments.report_to, arguments.run_name, arguments.project) == (["tensorboard"], "mine", "ours")


def test_the_default_optimizer_is_the_fused_one() -> None:
    assert arguments_of().optim == "adamw_torch_fused"


@pytest.mark.parametrize("wanted", ["true", "false"])
def test_kernels_are_never_left_to_the_trainer(wanted: str) -> None:
    """It would change the model's family for the whole process."""
    assert arguments_of(f"trainer.use_liger_kernel={wanted}").use_liger_kernel is False


def test_no_deepspeed_at_stage_0_in_one_process() -> None:
    assert arguments_of().deepspeed is None


@pytest.mark.parametrize("name", ["gradient_checkpointing", "activation_checkpointing"])
def test_checkpointing_goes_by_both_names(name: str) -> None:
    parent = "trainer.gradient_checkpointing=true"
    assert arguments_of(parent, f"trainer.{name}=true").activation_checkpointing is True


def test_checkpointing_raises_no_deprecation() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        arguments_of("trainer.gradient_checkpointing_kwargs={use_reentrant: false}")


@pytest.mark.parametrize(
    ("trainer", "recomputed"),
    [({}, True), ({"gradient_checkpointing": False}, False), ({"activation_checkpointing": False}, False)],
)
def test_activations_are_checkpointed_unless_the_section_says_otherwise(
    trainer: dict[str, Any], recomputed: bool
) -> None:
    assert checkpoints_activations(trainer) is recomputed


def kwargs_of(recipe: Recipe) -> dict[str, Any]:
    return checkpointing_kwargs(recipe.trainer, recipe.adapter, recipe.zero)


@pytest.mark.parametrize(
    ("overrides", "reentrant"),
    [(("zero.stage=3",), True), (("zero.stage=2",), None), (("zero.stage=3", "adapter={method: none}"), None)],
)
def test_checkpointing_is_reentrant_where_zero_3_has_frozen_weights(
    overrides: tuple[str, ...], reentrant: bool | None
) -> None:
    recipe = load(small("lora", Path("run"), Path("cache"), "trainer.gradient_checkpointing=true", *overrides))
    assert kwargs_of(recipe).get("use_reentrant") is reentrant


def test_the_kind_of_checkpointing_that_a_recipe_names_is_kept() -> None:
    recipe = load(
        small(
            "lora",
            Path("run"),
            Path("cache"),
            "zero.stage=3",
            "trainer.gradient_checkpointing=true",
            "trainer.gradient_checkpointing_kwargs={use_reentrant: false}",
        )
    )
    assert kwargs_of(recipe) == {"use_reentrant": False}


def test_a_global_batch_is_micro_batch_times_accumulation_times_ranks() -> None:
    batches = arithmetic(
        {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 3, "max_steps": 5},
        traces=100,
        sequences=100,
        tokens=1000,
        ranks=2,
    )
    assert (batches.global_batch, batches.steps, batches.tokens_per_step) == (24, 5, 240.0)


# 21 traces on 2 ranks in micro batches of 4: 3 batches a rank; accumulated by 2: 2 steps an epoch; 1.5 epochs: 3 steps
@pytest.mark.parametrize(
    ("trainer", "steps"),
    [
        ({"num_train_epochs": 1.0}, 2),
        ({"num_train_epochs": 1.5}, 3),
        ({"num_train_epochs": 3.0}, 6),
        ({"num_train_epochs": 3.0, "dataloader_drop_last": True}, 3),
        ({"num_train_epochs": 9.0, "max_steps": 4}, 4),
    ],
)
def test_epochs_become_steps(trainer: dict[str, Any], steps: int) -> None:
    batch = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2}
    assert arithmetic({**batch, **trainer}, 21, 21, 210, ranks=2).steps == steps


# 25 traces on 1 rank in batches of 8: 4 steps an epoch, the last with 1 trace; 10 tokens each
@pytest.mark.parametrize(
    ("trainer", "steps", "said"),
    [
        ({"num_train_epochs": 4.0}, 16, "16 steps = 1,000 tokens, 4.00 epochs of 25 traces; the last step of an epoch"),
        ({"max_steps": 6}, 6, "6 steps = 410 tokens, 1.64 epochs of 25 traces; the last step of an epoch has 1 traces"),
        ({"max_steps": 2}, 2, "2 steps = 160 tokens, 0.64 epochs of 25 traces"),
        (
            {"num_train_epochs": 4.0, "dataloader_drop_last": True},
            12,
            "12 steps = 960 tokens, 4.00 epochs of 25 traces; 1 traces left out of each epoch by "
            "trainer.dataloader_drop_last",
        ),
    ],
)
def test_epochs_and_tokens_count_the_short_last_step(trainer: dict[str, Any], steps: int, said: str) -> None:
    batches = arithmetic({"per_device_train_batch_size": 8, **trainer}, 25, 25, 250, ranks=1)
    assert batches.steps == steps and str(batches).splitlines()[1].partition(", ")[2].startswith(said)


def test_packed_traces_are_counted_as_what_they_are_packed_into() -> None:
    # 10 traces of 10 tokens in 4 sequences, in batches of 2
    batches = arithmetic({"per_device_train_batch_size": 2, "num_train_epochs": 1}, 10, 4, 100, ranks=1)
    assert (batches.steps, batches.tokens_per_step) == (2, 50.0)


@pytest.mark.parametrize(
    "overrides",
    [
        ("trainer.num_train_epochs=1",),
        ("trainer.num_train_epochs=2.5", "trainer.gradient_accumulation_steps=4"),
        ("trainer.num_train_epochs=1", "trainer.dataloader_drop_last=true"),
        ("trainer.num_train_epochs=1", "data.packing=true", "trainer.per_device_train_batch_size=2"),
    ],
)
def test_the_real_trainer_comes_to_the_same_number_of_steps(overrides: tuple[str, ...], tmp_path: Path) -> None:
    recipe = load(
        small("full", tmp_path, tmp_path, "zero.stage=0", "trainer.max_steps=-1", "data.traces.size=61", *overrides)
    )
    inputs = read_inputs(recipe, ALONE)
    trainer = trainer_of(recipe, tmp_path, load_model(recipe.model.unpruned, recipe.model))
    counted = trainer.set_initial_training_values(trainer.args, trainer.get_train_dataloader())
    assert inputs.arithmetic.steps == counted[-1]


@pytest.mark.parametrize("steps", [-1, 5])
def test_fewer_traces_than_a_batch_that_must_be_whole_are_no_step(steps: int) -> None:
    trainer = {"per_device_train_batch_size": 64, "dataloader_drop_last": True, "max_steps": steps}
    with pytest.raises(UserError, match="40 traces do not fill one batch of 64 on each of 1 rank"):
        arithmetic(trainer, 40, 40, 400, ranks=1)
    with pytest.raises(UserError, match="do not fill one batch of 32 on each of 2 rank"):
        arithmetic({**trainer, "per_device_train_batch_size": 32}, 40, 40, 400, ranks=2)


def test_one_whole_batch_is_a_step() -> None:
    trainer = {"per_device_train_batch_size": 40, "dataloader_drop_last": True, "num_train_epochs": 1}
    assert arithmetic(trainer, 40, 40, 400, ranks=1).steps == 1


def test_no_epoch_is_no_step() -> None:
    with pytest.raises(UserError, match="num_train_epochs=0: there would be no step"):
        arithmetic({"num_train_epochs": 0}, 40, 40, 400, ranks=1)
