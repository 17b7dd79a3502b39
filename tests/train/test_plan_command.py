"""`python -m train.plan`: what it says, what it writes, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from recipes.errors import UserError
from recipes.loader import load
from tests.train.plan.test_model import QWEN3_8B, config_folder
from train.arguments import arithmetic
from train.plan.__main__ import main
from train.plan.estimate import plan_run
from train.plan.remedies import changes
from train.plan.work import disk_bytes, given_traces, saves, sweep_count

FULL = ["recipe=full_recovery.yaml", "data.traces.size=200"]


def planned(folder: Path, *arguments: str) -> dict[str, Any]:
    """The JSON that the command writes."""
    file = folder / "plan.json"
    main([*FULL, f"data.cache_dir={folder / 'data'}", "base_gb=0.5", f"json={file}", *arguments])
    plan: dict[str, Any] = json.loads(file.read_text())
    return plan


def test_the_embedded_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = planned(tmp_path, "gpus=2", "gpu_memory_gb=80", "tokens_per_second=1000")
    memory = {row["moment"]: row for row in plan["memory"]}
    assert (plan["parameters"]["total"], plan["traces"]["traces"], plan["steps"]) == (377_024, 200, 120)
    assert (memory["sweep"]["weights"], memory["sweep"]["optimizer states"]) == (377_024 * 4, 377_024 * 4)
    assert plan["hours"] == pytest.approx(plan["tokens"] / 1000 / 3600, rel=1e-3)
    assert (plan["sweep"]["sweeps"], plan["sweep"]["problems"]) == (6, {"knowledge": 64, "shallow": 128, "chain": 256})
    assert (plan["misfits"], "it fits" in capsys.readouterr().out) == ([], True)


def test_what_does_not_fit_is_named_with_keys_that_help(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = planned(tmp_path, "gpus=1", "gpu_memory_gb=0.9", "trainer.per_device_train_batch_size=48")
    ways = {" ".join(way["keys"]): way for way in plan["remedies"]}
    one = ways["trainer.per_device_train_batch_size=1 trainer.gradient_accumulation_steps=48"]
    again = planned(tmp_path, "gpus=1", "gpu_memory_gb=0.9", *one["keys"])
    assert (len(plan["misfits"]), one["fits"], again["misfits"]) == (1, True, [])
    assert again["peak_bytes"] == one["peak_bytes"] < plan["peak_bytes"]
    assert "DOES NOT FIT: a GPU" in capsys.readouterr().out


def test_a_config_alone_suffices_with_counts(tmp_path: Path) -> None:
    arguments = ["recipe=qwen3_8b_full.yaml", config_folder(tmp_path, {**QWEN3_8B, "num_hidden_layers": 4})]
    numbers = {"gpus": 8, "gpu_memory_gb": 80, "traces": 900, "tokens": 8_000_000}
    plan = plan_run(arguments, numbers)
    assert (plan.batch.steps, plan.estimate.peak.parts["sweep (cache, logits)"], plan.misfits) == (171, 40 << 30, ())
    assert plan.sweep.note.startswith("suites are not on this machine")


def test_traces_that_are_not_here_are_asked_for(tmp_path: Path) -> None:
    missing = ["recipe=full_recovery.yaml", "data.traces.source=jsonl", f"data.traces.path={tmp_path / 'none.jsonl'}"]
    with pytest.raises(UserError, match="give traces=N tokens=N"):
        plan_run(missing, {"base_gb": 1})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gpus=none"], "gpus=none: must be a whole number above 0"),
        (["gpus=1.5"], "gpus=1.5: must be a whole number above 0"),
        (["gpus=2", "gpu_memory_gb=-1"], "gpu_memory_gb=-1: must be a number above 0"),
        (["gpus=2", "gpu_memory_gb=.inf"], "gpu_memory_gb=.inf: must be a number above 0"),
        (["gpus=2", "base_gb=.nan"], "base_gb=.nan: must be a number above 0"),
        (["traces=10"], "traces and tokens go together"),
        (["gpus=2", "ranks=2"], "give one of them"),
        (["gpu_memory_gb=80"], "gpu_memory_gb needs gpus=N"),
        (["gpus=12", "gpus_per_node=8", "base_gb=1"], "gpus=12 are no whole number of machines with gpus_per_node=8"),
    ],
)
def test_mistakes_are_named(arguments: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        main([*FULL, *arguments])


@pytest.mark.parametrize(("steps", "every", "sweeps"), [(120, 20, 6), (121, 20, 7), (19, 20, 1)])
def test_sweeps_are_counted_with_the_last(steps: int, every: int, sweeps: int) -> None:
    assert sweep_count(steps, every) == sweeps


@pytest.mark.parametrize(
    ("keys", "written"),
    [([], 2), (["trainer.save_steps=50"], 3), (["trainer.save_strategy=no"], 0), (["trainer.save_steps=0.25"], 4)],
)
def test_checkpoints_are_counted_with_the_last(keys: list[str], written: int) -> None:
    recipe = load([*FULL, *keys])
    assert saves(recipe, arithmetic(recipe.trainer, 200, 200, 8000, 1)) == written


def test_a_checkpoint_of_every_parameter_holds_weights_twice_masters_and_states() -> None:
    recipe = load([*FULL, "trainer.save_total_limit=2", "export.dtype=bfloat16"])
    sizes = plan_run([*FULL], {"base_gb": 1, "traces": 1, "tokens": 1}).estimate.sizes
    count = sizes.total
    assert disk_bytes(recipe, sizes, 9) == {
        "pruned model": 4 * count,
        "a checkpoint": 20 * count,
        "3 checkpoints": 60 * count,
        "export": 2 * count,
    }


def test_given_counts_are_packed_as_full_rows() -> None:
    packed = given_traces(load([*FULL, "data.packing=true", "data.max_length_tokens=100"]), traces=50, tokens=1001)
    assert (packed.sequences, packed.longest, packed.padded) == (11, 100, False)


def test_changes_begin_with_what_leaves_the_training_as_it_is() -> None:
    recipe = load([*FULL, "trainer.gradient_checkpointing=false"])
    found = [keys[0] for keys in changes(recipe, "sweep")]
    assert found[:4] == [
        "sweep.engine.memory_gb=2",
        "trainer.per_device_train_batch_size=1",
        "trainer.gradient_checkpointing=true",
        "zero.stage=3",
    ]
