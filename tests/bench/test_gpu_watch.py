"""What is seen of a GPU, from looks and spans made by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench.gpu_watch import MemoryWatch, Span, covered


@pytest.mark.parametrize(
    ("spans", "length"),
    [
        ([], 0.0),
        ([(0.0, 2.0), (3.0, 4.0)], 3.0),
        ([(3.0, 5.0), (0.0, 4.0)], 5.0),  # overlap counts once
        ([(0.0, 9.0), (1.0, 2.0), (8.0, 10.0)], 10.0),
    ],
)
def test_spans_cover_what_overlaps_once(spans: list[Span], length: float) -> None:
    assert covered(spans) == length


def test_the_highest_of_each_look_counts(tmp_path: Path) -> None:
    watch = MemoryWatch(tmp_path / "memory.json")
    watch.note(peak=70, reserved=60, device=75)
    watch.note(peak=50, reserved=80, device=90)
    watch.note(peak=10, reserved=10, device=30)
    watch.close()
    assert json.loads((tmp_path / "memory.json").read_text()) == {"reserved": 80, "device": 90, "context": 20}
