"""A cache that fills up in the middle of a sweep: the sweep goes on, and its samples go where the run keeps them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from eval.kept_sweep import ForgivingWriter, KeptSweep, Place
from eval.samples import read_sweep
from eval.types import Weights
from recipes.paths import ROOT
from runtime.journal import JournalWriter
from runtime.ranks import ALONE
from runtime.seal import file_fault
from tests.eval.worlds import nano, nano_spec, nano_suite

ON_A_SMALL_DISK = 'mount -t tmpfs -o size=4k none "$0" && exec "$@"'
"""a file system of one page, which this process alone sees"""
SPEC = nano_spec([nano_suite("chain", 30)], [8, 24])


def sweep(cache: Path, samples: Path) -> None:
    """A sweep that is kept in a cache, with a place to go to when that fills up."""
    KeptSweep(SPEC, Place(cache, "run", 1), "w", ALONE, Place(samples, "run", 1)).run(lambda: Weights(nano()))


@pytest.mark.slow
def test_a_cache_that_fills_up_in_the_middle_of_a_sweep_stops_nothing(tmp_path: Path) -> None:
    cache, samples = tmp_path / "cache", tmp_path / "samples"
    cache.mkdir()
    limited = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", ON_A_SMALL_DISK, str(cache)]
    if subprocess.run([*limited, "true"], capture_output=True, check=False).returncode:
        pytest.skip("a process may not mount a file system of its own here")
    script = (
        f"from {__name__} import sweep; from pathlib import Path; sweep(Path({str(cache)!r}), Path({str(samples)!r}))"
    )
    done = subprocess.run(
        [*limited, sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "journal cannot be written (No space left on device); the sweep continues without it" in done.stdout
    assert f"cannot be written (No space left on device); the sweep is kept in {samples} alone" in done.stdout
    sweep(tmp_path / "large", tmp_path / "unused")
    (of_full, of_large) = (folder / "chain" / "run-000001.jsonl" for folder in (samples, tmp_path / "large"))
    assert file_fault(of_full) is None and read_sweep(of_full) == read_sweep(of_large)


def test_a_journal_that_cannot_be_written_is_given_up_and_that_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:  # every write fails as on a full disk
        forgiving = ForgivingWriter(JournalWriter(full), tmp_path / "out.jsonl")
        for sample in range(3):
            forgiving.add({"sample": sample})
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert said.startswith(f"{tmp_path / 'out.jsonl'}: journal cannot be written (No space left on device)")
