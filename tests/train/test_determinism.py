"""The recipe's `deterministic`, in a process of its own, since it stays on in a process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.train.runs import plain, small

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (
            "true",
            {"algorithms": True, "cudnn_deterministic": True, "cudnn_benchmark": False, "cublas_workspace": ":4096:8"},
        ),
        (
            "false",
            {"algorithms": False, "cudnn_deterministic": False, "cudnn_benchmark": False, "cublas_workspace": None},
        ),
    ],
)
def test_a_run_is_as_deterministic_as_its_recipe_says_and_records_it(
    wanted: str, found: dict[str, object], tmp_path: Path, cache: Path
) -> None:
    done = plain(
        small(
            "lora",
            tmp_path / "run",
            cache,
            "zero.stage=0",
            f"deterministic={wanted}",
            "trainer.max_steps=1",
            "sweep.every_steps=1000",
            "export.enabled=false",
        ),
        tmp_path,
    )
    assert done.returncode == 0, done.stderr[-1500:]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["determinism"] == found
