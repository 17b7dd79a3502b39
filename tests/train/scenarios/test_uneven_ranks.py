"""Ranks that are through far apart: nobody is ended for having waited (time-out 1.5 s, the other rank works 2.5 s)."""

from __future__ import annotations

import subprocess

import pytest

from recipes.paths import ROOT
from tests.train.starts import completed_ranks

pytestmark = pytest.mark.slow

BOTH_HAVE = {"sweep": "1", "likelihood": "1", "first_rank": "None", "every_rank": "[None, None]"}


@pytest.fixture(scope="module")
def waited() -> subprocess.CompletedProcess[str]:
    """One launch that waits in every way, one after the other."""
    return completed_ranks(["-m", "tests.train.uneven_ranks", *BOTH_HAVE], ROOT, 2)


@pytest.mark.parametrize(("where", "value"), BOTH_HAVE.items())
def test_a_rank_waits_as_long_as_the_other_works(
    where: str, value: str, waited: subprocess.CompletedProcess[str]
) -> None:
    said = [f"{where}: rank {rank} has {value}" in waited.stdout for rank in range(2)]
    assert (waited.returncode, said) == (0, [True, True]), waited.stdout[-2000:] + waited.stderr[-2000:]


def test_in_a_collective_it_would_be_ended() -> None:
    """That the time-out is real: without it the tests above would show nothing."""
    done = completed_ranks(["-m", "tests.train.uneven_ranks", "collective"], ROOT, 2)
    said = done.stdout + done.stderr
    # gloo's words on CPUs, those of NCCL's watchdog on GPUs
    assert done.returncode != 0 and ("Timed out waiting 1500ms" in said or "collective operation timeout" in said)
