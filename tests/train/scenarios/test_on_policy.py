"""Runs on their own thoughts: what is trained on, and resumed to the bit without thinking twice."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.train.conftest import cut_back
from tests.train.runs import rows, run_here, same, small, untimed, weights

pytestmark = pytest.mark.slow
Here = Callable[..., Path]
KEYS = (
    "zero.stage=0",
    "on_policy.refresh_steps=3",
    "on_policy.horizon={start: 16, end: 48, steps: 6}",
    "sweep.every_steps=1000",
    "export.enabled=false",
)


@pytest.fixture(scope="module")
def thought(here: Here) -> Path:
    """8 steps of 8 examples, half of them own thoughts: rounds at 0, 3 and 6."""
    return here("on_policy", *KEYS)


def test_each_round_has_the_thoughts_of_its_steps_and_its_horizon(thought: Path) -> None:
    headers = [rows(file)[0] for file in sorted((thought / "rollouts").glob("round-*.jsonl"))]
    assert [(each["step"], each["horizon"], each["numbers"]) for each in headers] == [
        (0, 16, [0, 12]),
        (3, 32, [12, 24]),
        (6, 48, [24, 32]),
    ]


def test_with_a_share_of_1_exactly_its_thoughts_are_trained_on(here: Here) -> None:
    """Two steps of 8, logged in one row."""
    folder = here("on_policy", *KEYS, "on_policy.share=1", "trainer.max_steps=2", "trainer.save_steps=2")
    (file,) = (folder / "rollouts").glob("round-*.jsonl")
    thoughts = rows(file)[1:]
    (row,) = rows(folder / "metrics.jsonl")
    assert (len(thoughts), row["tokens"]) == (16, sum(len(each["input_ids"]) for each in thoughts))


def test_rounds_are_recorded(thought: Path) -> None:
    found = rows(thought / "rollouts" / "rounds.jsonl")
    assert [(row["step"], row["thoughts"], row["left_out"]) for row in found] == [(0, 12, ""), (3, 12, ""), (6, 8, "")]
    assert all(row["seconds"] > 0 and 0 < row["mean"] <= row["horizon"] for row in found)


def test_a_run_that_goes_on_in_a_round_gives_the_same_bits_and_thinks_nothing_twice(
    thought: Path, cache: Path, tmp_path: Path
) -> None:
    (thought / "export").mkdir(exist_ok=True)  # what `cut_back` takes away
    folder = cut_back(thought, tmp_path / "run", 4)
    files = sorted((folder / "rollouts").glob("round-*.jsonl"))
    for file in files:
        os.utime(file, (1, 1))
    assert run_here(small("on_policy", folder, cache, *KEYS)) == 0
    assert same(weights(folder / "checkpoint-8"), weights(thought / "checkpoint-8"))
    assert untimed(folder / "metrics.jsonl") == untimed(thought / "metrics.jsonl")
    assert [file.stat().st_mtime for file in files] == [1, 1, 1]


def test_a_damaged_round_is_thought_again_and_comes_out_the_same(thought: Path, cache: Path, tmp_path: Path) -> None:
    folder = cut_back(thought, tmp_path / "run", 4)
    file = folder / "rollouts" / "round-00002.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert run_here(small("on_policy", folder, cache, *KEYS)) == 0
    assert file.read_bytes() == whole
