"""An estimate from a config and counts alone, and from the same run under other keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.errors import UserError
from recipes.loader import load
from tests.train.configs import QWEN3_8B, config_folder
from train.plan.estimate import Retries, estimate_run
from train.plan.machine import read_machine
from train.plan.work import given_traces

FULL = ["recipe=full_recovery.yaml"]
COUNTS = {"gpus": 1, "traces": 100, "tokens": 5000}


def test_a_config_alone_suffices_with_counts(tmp_path: Path) -> None:
    arguments = ["recipe=qwen3_8b_full.yaml", config_folder(tmp_path, {**QWEN3_8B, "num_hidden_layers": 4})]
    estimate = estimate_run(arguments, {"gpus": 8, "gpu_memory_gb": 80, "traces": 900, "tokens": 8_000_000})
    # 391 packed rows in 49 steps of 8, three times; 40 GiB are the recipe's limit for a sweep
    assert (estimate.batches.steps, estimate.memory.peak.parts["sweep (cache, logits)"]) == (147, 40 << 30)
    assert (estimate.misfits, estimate.sweep.note.startswith("suites are not on this machine")) == ((), True)


def test_traces_that_are_not_here_are_asked_for(tmp_path: Path) -> None:
    missing = [*FULL, "data.traces.source=jsonl", f"data.traces.path={tmp_path / 'none.jsonl'}"]
    with pytest.raises(UserError, match="give traces=N tokens=N"):
        estimate_run(missing, {"base_gb": 1})


def test_hours_come_from_a_speed_that_the_user_has_measured() -> None:
    eight = [*FULL, "trainer.per_device_train_batch_size=8"]
    tokens = (17 * 100 + 16) * 50  # 120 steps of 16: 17 epochs of 7, whose last step is short, and one more; per trace
    by_tokens = estimate_run(eight, {**COUNTS, "gpus": 2, "tokens_per_second": 100})  # of all ranks
    by_flops = estimate_run(eight, {**COUNTS, "gpus": 2, "flops_per_second": 1e9})  # of one
    assert by_tokens.hours.training == pytest.approx(tokens / 100 / 3600)
    assert by_flops.hours.training == pytest.approx(by_flops.flops / 2e9 / 3600)


def test_without_a_speed_there_are_no_hours() -> None:
    assert estimate_run(FULL, COUNTS).hours.training is None


def test_a_run_under_other_keys_is_the_run_that_has_those_keys() -> None:
    keys = ("zero.stage=3", "data.max_length_tokens=64")
    machine, recipe = read_machine(COUNTS, stage=2), load(FULL)
    traces = given_traces(recipe.data, traces=100, tokens=5000)
    sweep_bytes = estimate_run(FULL, COUNTS).sweep.memory_bytes
    retries = Retries([*FULL, "zero.stage=2"], machine, traces, sweep_bytes, {})
    assert retries.memory_with(keys).moments == estimate_run([*FULL, *keys], COUNTS).memory.moments


def test_keys_that_the_recipe_refuses_are_no_way_out() -> None:
    machine, recipe = read_machine(COUNTS, stage=2), load(FULL)
    retries = Retries(FULL, machine, given_traces(recipe.data, traces=100, tokens=5000), 0, {})
    with pytest.raises(UserError, match="zero"):
        retries.memory_with(["zero.stage=0", "zero.offload_optimizer=cpu"])
