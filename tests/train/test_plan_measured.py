"""Planned peak memory against that of real runs; `python -m tests.bench.memory_plan` has more of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from eval.engines.memory import GIGABYTE
from tests.bench.planned_runs import Case, Shape, measured_peaks
from train.base_memory import base_bytes
from train.planning import plan_run

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="reads resident memory from /proc")]

SHAPE = Shape(512, 7, 8192)
ROWS = ("data.packing=true", "data.max_length_tokens=128", "trainer.per_device_train_batch_size=4")


@pytest.mark.parametrize("case", [
    Case("full, ZeRO-1, 2 ranks", SHAPE, 2, "full", (*ROWS, "zero.stage=1")),
    Case("LoRA, ZeRO-3, checkpointing", SHAPE, 1, "lora", (*ROWS, "zero.stage=3",
                                                         "trainer.gradient_checkpointing=true")),
], ids=lambda case: case.name)
def test_a_rank_takes_at_its_peak_what_was_planned(case: Case, tmp_path: Path) -> None:
    base = base_bytes(stage=1)
    plan = plan_run(case.arguments(tmp_path), {"ranks": case.ranks, "base_gb": base / GIGABYTE})
    measured = max(measured_peaks(case, tmp_path / "measured", tmp_path))
    assert plan.estimate.peak.total > base + (50 << 20)  # the base alone would not do
    assert plan.estimate.peak.total == pytest.approx(measured, rel=0.15)
