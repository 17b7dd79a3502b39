"""Sweeps, checkpoints, FLOPs and bytes on disk, counted by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from eval.sweep import suite_requests
from recipes.errors import UserError
from recipes.loader import load
from tests.train.plan.setups import THOUSAND
from train.arguments import arithmetic
from train.plan.activations import MicroBatch
from train.plan.memory import Teacher
from train.plan.work import (
    Specs,
    SweepCost,
    TraceCounts,
    disk_bytes,
    given_traces,
    largest_micro_batch,
    read_specs,
    read_traces,
    saves,
    sweep_cost,
    sweep_count,
    training_flops,
)
from train.sizes import skeleton

FULL = ["recipe=full_recovery.yaml", "data.traces.size=200"]
TRACES = TraceCounts(traces=50, sequences=50, tokens=2000, longest=40, padded=True, origin="here")


@pytest.mark.parametrize(("steps", "every", "sweeps"), [(120, 20, 6), (121, 20, 7), (19, 20, 1)])
def test_sweeps_are_counted_with_the_last(steps: int, every: int, sweeps: int) -> None:
    assert sweep_count(steps, every) == sweeps


@pytest.mark.parametrize(
    ("keys", "written"),
    [
        ([], 2),  # 120 steps, every 100
        (["trainer.save_steps=50"], 3),
        (["trainer.save_strategy=no"], 0),
        (["trainer.save_steps=0.25"], 4),
        (["trainer.save_strategy=epoch", "trainer.per_device_train_batch_size=8"], 5),  # 120 steps of 8 in 200 traces
    ],
)
def test_checkpoints_are_counted_with_the_last(keys: list[str], written: int) -> None:
    recipe = load([*FULL, *keys])
    assert saves(recipe.trainer, arithmetic(recipe.trainer, 200, 200, 8000, 1)) == written


def test_a_checkpoint_of_every_parameter_holds_weights_twice_masters_and_states() -> None:
    recipe = load([*FULL, "trainer.save_total_limit=2", "export.dtype=bfloat16"])
    assert disk_bytes(recipe, THOUSAND, 9) == {
        "pruned model": 4000,
        "a checkpoint": 20_000,
        "3 checkpoints": 60_000,
        "export": 2000,
    }


def test_a_checkpoint_of_an_adapter_without_zero_holds_it_once_with_states() -> None:
    recipe = load(["recipe=lora_recovery.yaml", "zero.stage=0", "export.enabled=false", "model.dtype=bfloat16"])
    sizes = replace(THOUSAND, trainable=100)  # of 1000, so the model itself has 900
    assert disk_bytes(recipe, sizes, 1) == {
        "pruned model": 1800,
        "a checkpoint": 1000,
        "1 checkpoints": 1000,
        "export": 0,
    }


def test_given_counts_are_packed_as_full_rows() -> None:
    packing = load([*FULL, "data.packing=true", "data.max_length_tokens=100"]).data
    packed = given_traces(packing, traces=50, tokens=1001)
    assert (packed.sequences, packed.longest, packed.padded) == (11, 100, False)


@pytest.mark.parametrize(
    ("rows", "key", "batch"),
    [
        (8, "seed=1", MicroBatch(8, 40, True, False)),
        (8, "model.attention=flash_attention_2", MicroBatch(8, 40, False, False)),
        (1, "seed=1", MicroBatch(1, 40, False, False)),  # nothing to pad to
        (8, "data.packing=true", MicroBatch(1, 8 * 40, False, False)),
        (8, "trainer.gradient_checkpointing=true", MicroBatch(8, 40, True, True)),
    ],
)
def test_the_largest_micro_batch_has_every_row_as_long_as_the_longest(rows: int, key: str, batch: MicroBatch) -> None:
    recipe = load([*FULL, f"trainer.per_device_train_batch_size={rows}", key])
    assert largest_micro_batch(recipe, TRACES) == batch


def test_frozen_weights_under_zero_3_are_recomputed_reentrantly() -> None:
    keys = ["recipe=lora_recovery.yaml", "zero.stage=3", "trainer.gradient_checkpointing=true"]
    assert largest_micro_batch(load(keys), TRACES).reentrant is True


@pytest.mark.parametrize(
    ("checkpointing", "teacher", "per_token"),
    [
        (False, None, 2 * 1000 + 2 * 1000 + 2 * 100),
        (True, None, 3 * 2 * 1000 + 2 * 100),
        (False, Teacher(parameters=1200, weight_bytes=2), 4200 + 2 * 1200),
        (True, Teacher(parameters=1200, weight_bytes=2), 6200 + 2 * 1200),  # a teacher recomputes nothing
    ],
)
def test_flops_of_training(checkpointing: bool, teacher: Teacher | None, per_token: int) -> None:
    batch = MicroBatch(4, 40, False, checkpointing)
    assert training_flops(replace(THOUSAND, trainable=100), 7, batch, teacher) == 7 * per_token


def test_a_larger_budget_costs_as_many_tokens_more_per_thought() -> None:
    def cost(budget: int) -> SweepCost:
        recipe = load([*FULL, f"sweep.budgets=[4,{budget}]", "sweep.answer_tokens=3", "sweep.suites.2.size=16"])
        unpruned = skeleton(recipe.model, recipe.prune, recipe.adapter).unpruned
        return sweep_cost(recipe.sweep, read_specs(recipe), unpruned, steps=100, ranks=2)

    short, long = cost(8), cost(16)
    thoughts = sum(short.problems.values()) * load(FULL).sweep.samples
    assert long.tokens - short.tokens == thoughts * (16 - 8)


def test_what_confirms_is_costed_by_itself() -> None:
    keys = ["sweep.budgets=[4,8]", "sweep.answer_tokens=3", "sweep.suites.2.size=16"]
    recipe = load([*FULL, *keys, "sweep.confirm.problems=10"])
    unpruned = skeleton(recipe.model, recipe.prune, recipe.adapter).unpruned
    cost, none = (
        sweep_cost(each.sweep, read_specs(each), unpruned, steps=100, ranks=2)
        for each in (recipe, load([*FULL, *keys, "sweep.confirm=null"]))
    )
    specs = read_specs(recipe)
    assert isinstance(specs, Specs) and specs.confirm is not None
    prompts = sum(len(request.prompt_ids) for request in suite_requests(specs.confirm.suites[0], specs.confirm))
    assert (cost.confirm_problems, cost.confirm_tokens) == (10, prompts + 10 * (8 + 2 * 3))
    assert (none.confirm_problems, none.confirm_tokens, none.tokens) == (0, 0, cost.tokens)
    absent = sweep_cost(recipe.sweep, UserError("no network"), unpruned, steps=100, ranks=2)
    assert (absent.confirm_problems, absent.confirm_tokens) == (10, 10 * (8 + 2 * 3))


def test_suites_that_are_not_here_are_costed_by_the_recipe() -> None:
    recipe = load([*FULL, "sweep.budgets=[4,8]", "sweep.answer_tokens=3", "sweep.engine.memory_gb=2"])
    models = skeleton(recipe.model, recipe.prune, recipe.adapter)
    cost = sweep_cost(recipe.sweep, UserError("no network"), models.unpruned, steps=100, ranks=2)
    thoughts = sum(cost.problems.values()) * recipe.sweep.samples
    assert (cost.tokens, cost.memory_bytes, "no network" in cost.note) == (thoughts * (8 + 2 * 3), 2 << 30, True)


def test_traces_that_are_still_to_be_generated_must_be_given_as_counts() -> None:
    with pytest.raises(UserError, match=r"cannot be counted here \(no network\); give traces=N tokens=N"):
        read_traces(load(FULL).data, UserError("no network"))
