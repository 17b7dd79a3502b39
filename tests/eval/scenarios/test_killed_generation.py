"""A generation that is killed for real, several times, and the files that it leaves in the end."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import pytest

from eval.generate import main
from eval.trace_writer import rates_file
from recipes.paths import ROOT
from tests.eval.generations import command
from tests.train.starts import starter, wait_until

pytestmark = pytest.mark.slow


def written(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0


def test_killed_for_real_three_times_the_files_come_out_the_same(tmp_path: Path) -> None:
    whole, out, rng = tmp_path / "whole.jsonl", tmp_path / "out.jsonl", random.Random(7)
    main(command(whole))
    journal = tmp_path / "out.jsonl.journal-0.jsonl"
    arguments = ["-m", "eval.generate", *command(out)]
    before = 0
    for _ in range(3):
        least_bytes, start = before + rng.randrange(1, 1500), starter().start(arguments, ROOT)
        wait_until(lambda least=least_bytes, start=start: not start.lives() or written(journal) >= least)
        start.send(signal.SIGKILL)
        start.end()
        before = written(journal) or before
    if not out.exists():
        assert starter().start(arguments, ROOT).end().code == 0
    assert out.read_bytes() == whole.read_bytes()
    assert rates_file(out).read_bytes() == rates_file(whole).read_bytes()
