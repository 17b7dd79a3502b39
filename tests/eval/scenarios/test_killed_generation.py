"""A generation that is killed for real, several times, and the files that it leaves in the end."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from eval.generate import main
from eval.trace_writer import rates_file
from recipes.paths import ROOT
from tests.eval.generations import command

pytestmark = pytest.mark.slow


def test_killed_for_real_three_times_the_files_come_out_the_same(tmp_path: Path) -> None:
    whole, out, rng = tmp_path / "whole.jsonl", tmp_path / "out.jsonl", random.Random(7)
    main(command(whole))
    journal = tmp_path / "out.jsonl.journal-0.jsonl"
    arguments = [sys.executable, "-m", "eval.generate", *command(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    before = 0
    for _ in range(3):
        least_bytes = before + rng.randrange(1, 1500)
        process = subprocess.Popen(
            arguments, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while process.poll() is None and (not journal.is_file() or journal.stat().st_size < least_bytes):
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.01)
        process.kill()
        process.wait()
        before = journal.stat().st_size if journal.is_file() else before
    if not out.exists():
        subprocess.run(arguments, cwd=ROOT, env=environment, check=True, capture_output=True)
    assert out.read_bytes() == whole.read_bytes()
    assert rates_file(out).read_bytes() == rates_file(whole).read_bytes()
