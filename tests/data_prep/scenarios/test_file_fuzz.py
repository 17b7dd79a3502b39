"""Mutated files of every kind are read or refused by name, in processes of their own: no crash, no traceback, no hang.

`python -m tests.data_prep.file_fuzz` does the same with 2,000 of each.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from data_prep.ledger import Ledger
from data_prep.traces.sources import read_source
from recipes.traces import FileTraces
from tests.data_prep.file_fuzz import KINDS, fuzzed, sound

EACH = 300


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_mutated_files_end_in_a_named_fault_or_are_read(kind: str, tmp_path: Path) -> None:
    counts, faults = fuzzed(kind, EACH, 1, tmp_path)
    assert faults == []
    assert counts["read"] + counts["refused"] == EACH and counts["read"] > 10


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_that_is_mutated_is_sound(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{kind}"
    path.write_bytes(sound(kind, tmp_path))
    assert len(list(read_source(FileTraces(source="file", path=path), "stop", Ledger()))) in (39, 40)
