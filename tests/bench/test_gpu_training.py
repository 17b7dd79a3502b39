"""The benchmarks of training and memory on a GPU: rows by hand, and their launches on a tiny shape on the CPU."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from recipes.loader import load_recipe
from tests.bench import gpu_memory, gpu_training
from tests.bench.gpu_launch import Launched, LaunchFailedError, call, ours, planned_bytes, speed_of, theirs
from tests.bench.gpu_training import Case, run, speed_and_memory
from tests.bench.gpu_worlds import NANO, SHAPES, World, chain, recipe_of, trace_lengths, world_of

GIB = 1 << 30
TINY = Case("tiny", "full", checkpointing=True, target=1000, ratio_target=2.0)


def launched(tokens: float, device: int) -> Launched:
    return Launched(tokens, device * GIB, (device - 1) * GIB, GIB)


def test_steps_of_the_warm_up_do_not_count() -> None:
    assert speed_of([(1, 9.0), (1, 9.0), (100, 1.0), (100, 2.0), (90, 0.1)]) == 100.0
    assert speed_of([(1, 9.0), (1, 9.0), (100, 1.0), (100, 2.0)]) == 75.0


def test_medians_stand_beside_the_rivals() -> None:
    mine = [launched(1000, 10), launched(3000, 12), launched(2000, 11)]
    rows = {row["name"]: row for row in speed_and_memory(TINY, mine, [launched(800, 22)])}
    speed, of_rival, memory = rows.values()
    assert (speed["value"], speed["rival"], speed["ratio"], speed["target"]) == (2000, 800, 2.5, "at least 1,000")
    assert (of_rival["value"], of_rival["target"]) == (2.5, "at least 2.0")
    assert (memory["value"], memory["rival"], memory["target"]) == (11.0, 22.0, "at most 22.0")


def test_without_a_rival_there_is_no_ratio() -> None:
    rows = list(speed_and_memory(TINY, [launched(1000, 10)], []))
    assert [(row["rival"], row["ratio"]) for row in rows] == [(None, None)] * 2


def test_without_time_every_case_says_so() -> None:
    rows = list(run(1.0))
    assert [row["note"] for row in rows] == ["no time was left for it"] * len(gpu_training.CASES)
    assert all(row["value"] is None for row in gpu_memory.run(1.0))


def test_thoughts_are_as_long_as_reasoning_traces() -> None:
    lengths = sorted(trace_lengths(8192))
    assert lengths[0] >= 800 and lengths[-1] == 8000  # the longest one is cut to fit a row
    assert 2500 < lengths[len(lengths) // 2] < 3500


def test_a_thought_has_a_token_for_every_word() -> None:
    ids = AutoTokenizer.from_pretrained(NANO)(chain(3, 50)["thinking"], add_special_tokens=False)["input_ids"]
    assert (len(ids), 1 in ids) == (50, False)  # 1 is an unknown word


@pytest.mark.parametrize("keys", [case.keys for case in gpu_training.CASES] + [list(r[2]) for r in gpu_memory.RECIPES])
def test_the_recipe_of_a_world_takes_the_keys_of_every_case(keys: list[str], tmp_path: Path) -> None:
    import json

    file = tmp_path / "recipe.yaml"
    file.write_text(json.dumps(recipe_of(World("0.6B", tmp_path))))
    recipe = load_recipe([f"recipe={file}", *keys]).recipe
    assert recipe.data.packing and recipe.data.max_length_tokens == SHAPES["0.6B"].row_tokens == 8192


def test_a_launch_that_takes_too_long_is_ended() -> None:
    with pytest.raises(LaunchFailedError, match="not through after"):
        call(["sleep", "60"], 1.0)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return world_of("tiny", tmp_path_factory.mktemp("worlds"))


@pytest.mark.slow
def test_a_run_of_a_tiny_shape_is_measured_and_planned(world: World) -> None:
    seen = ours(world, TINY.keys, 200, busy_step=gpu_training.BUSY_STEP)
    assert seen.tokens_per_second > 0
    assert seen.busy is not None and 0 <= seen.busy <= 1
    assert planned_bytes(world, TINY.keys, 100) > 500 << 20


@pytest.mark.slow
def test_the_rival_runs_on_the_same_world(world: World) -> None:
    job = {"model": str(world.model), "method": "lora", "steps": 4, "row_tokens": 256}
    assert theirs(world, {**job, "checkpointing": False, "liger": False}, 200).tokens_per_second > 0


@pytest.mark.slow
def test_a_recipe_of_the_memorys_list_runs_on_a_tiny_shape(world: World) -> None:
    keys = [*gpu_memory.SWEPT, *gpu_memory.LORA, gpu_memory.ON, "zero.stage=3"]
    assert ours(world, keys, 200).tokens_per_second > 0
