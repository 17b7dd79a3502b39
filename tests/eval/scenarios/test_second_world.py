"""The shipped reasoner of the second world: its own sweep rises with the budget, and a cut takes that away."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval.__main__ import main
from prune.__main__ import main as prune
from runtime.files import read_rows

SUITE = "{source: nano, name: ways, family: ways, size: 64}"

pytestmark = pytest.mark.slow


def curve(model: str, out: Path) -> list[float]:
    """Accuracy at 16, 64 and 224 tokens, on 64 problems of two thoughts each."""
    keys = ["sweep.budgets=[16,64,224]", "sweep.samples=2", f"sweep.suites=[{SUITE}]", "sweep.confirm=null"]
    main(["recipe=ways_recovery.yaml", f"model={model}", f"out={out}", *keys])
    (rows,) = [read_rows(path) for path in out.rglob("sweeps.jsonl")]
    return [row["accuracy"] for row in rows if row["budget"] is not None]


def test_longer_thoughts_help_the_unpruned_model(tmp_path: Path) -> None:
    short, middle, long = curve("data_prep/nano_ways_model", tmp_path)
    assert short < middle < long


def test_longer_thoughts_help_the_model_without_its_last_layers_less(tmp_path: Path) -> None:
    prune(["recipe=ways_recovery.yaml", f"output={tmp_path / 'cut'}"])
    before = curve("data_prep/nano_ways_model", tmp_path / "before")
    after = curve(str(tmp_path / "cut"), tmp_path / "after")
    assert after[-1] - after[0] < (before[-1] - before[0]) / 2
