"""The benchmark of distilling on a GPU: rows by hand, and its launches on a tiny shape on the CPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.gpu_distilling import TAUGHT, run, time_and_memory
from tests.bench.gpu_launch import Launched, ours
from tests.bench.gpu_training import Case
from tests.bench.gpu_worlds import world_of

GIB = 1 << 30
TINY = Case("tiny", "full", checkpointing=True)


def launched(tokens: float, device: int) -> Launched:
    return Launched(tokens, device * GIB, (device - 1) * GIB, GIB)


def test_a_step_is_held_against_the_plain_one_of_its_round() -> None:
    rounds = [(launched(1000, 10), launched(800, 13)), (launched(2000, 10), launched(1000, 13))]
    speed, ratio, memory = time_and_memory(TINY, rounds, 2 * GIB)
    assert (speed["value"], speed["rival"]) == (900, 1500)
    assert (ratio["value"], ratio["target"]) == (pytest.approx((1.25 + 2) / 2), "at most 1.4")
    assert (memory["value"], memory["target"]) == (13, "at most 12.6")


def test_without_time_every_case_says_so() -> None:
    assert {row["note"] for row in run(1.0)} == {"no time was left for it"}


@pytest.mark.slow
def test_a_distilling_run_of_a_tiny_shape_is_measured(tmp_path: Path) -> None:
    assert ours(world_of("tiny", tmp_path), [*TINY.keys, *TAUGHT], 200).tokens_per_second > 0
