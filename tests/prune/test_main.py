"""`python -m prune` and `python -m prune.inspect` as processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from recipes.paths import ROOT
from tests.prune.models import IDLE
from tests.train.starts import completed


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_command_cuts_and_doctor_passes(unpruned: Path, tmp_path: Path) -> None:
    recipe = {
        "model": {"unpruned": str(unpruned)},
        "prune": {"method": "shortgpt", "layers": 1, "calibration_traces": 8},
        "data": {
            "traces": {"source": "nano", "size": 12},
            "max_length_tokens": 512,
            "format": {"open": "<think>", "close": "</think> ", "cue": "answer", "wait": "#1"},
            "cache_dir": str(tmp_path / "data"),
        },
        "sweep": {
            "budgets": [8],
            "suites": [{"source": "nano", "name": "chain", "family": "chain", "size": 4}],
            "every_steps": 1,
            "answer_tokens": 4,
        },
    }
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(recipe))
    result = completed(["-m", "prune", f"recipe={tmp_path / 'r.yaml'}", f"output={tmp_path / 'p'}"], ROOT)
    assert (result.returncode, f"removed    {IDLE}\n" in result.stdout) == (0, True), result.stderr
    doctor = completed(["-m", "prune.inspect", str(tmp_path / "p")], ROOT)
    assert (doctor.returncode, doctor.stdout.endswith("ok\n")) == (0, True), doctor.stderr


@pytest.mark.slow
def test_doctor_ends_with_2_and_a_short_message(tmp_path: Path) -> None:
    result = command("prune.inspect", str(tmp_path / "nowhere"))
    assert (result.returncode, "is not a folder" in result.stderr.splitlines()[-1]) == (2, True)
