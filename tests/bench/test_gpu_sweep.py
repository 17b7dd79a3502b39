"""The benchmark of the sweep on a GPU, on a tiny shape on a CPU: every row is there, and what must agree does."""

from __future__ import annotations

import pytest
import torch

from tests.bench.gpu_sweep import Case, Ways, run

TINY = Case("tiny", 32, 2, 2, 1, 64, True, rows=3, tokens=8, vocabulary=300, head=16, limit_gb=1.0)


@pytest.mark.slow  # continuous batching takes most of a minute on a CPU
def test_all_rows_of_a_tiny_shape() -> None:
    rows = {row["name"]: row for row in run(TINY, TINY, 600.0, "cpu")}
    names = [name for name, row in rows.items() if row["value"] is None]
    assert [name for name in names if "continuous" not in name] == []
    assert rows["tiny: thoughts that differ without CUDA graphs"]["value"] == 0
    assert rows["tiny, 3 thoughts of 8: chainmend"]["rival"] > 0
    assert all({"name", "value", "unit", "target", "rival", "ratio"} <= row.keys() for row in rows.values())


def test_all_ways_give_the_same_thoughts_in_float32() -> None:
    ways = Ways(TINY, "cpu")
    ways.model.to(torch.float32)  # type: ignore[arg-type]
    assert ways.engine([8]) == ways.generate(8, 3) == ways.generate(8, 2)


def test_what_there_is_no_time_for_is_said() -> None:
    rows = [row for row in run(TINY, TINY, -1.0, "cpu") if row["value"] is None]
    assert [row["note"] for row in rows] == ["no time was left for it"] * 5
