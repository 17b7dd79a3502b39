"""The figure of a prepared set's lengths."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from data_prep.prepared.length_figure import draw_lengths
from data_prep.prepared.manifest import length_facts


def test_the_figure_is_a_picture(tmp_path: Path) -> None:
    lengths = length_facts(Counter([*range(1, 100), 1000]))
    draw_lengths({"max_length_tokens": 99, "lengths": lengths}, tmp_path / "lengths.png")
    assert (tmp_path / "lengths.png").read_bytes().startswith(b"\x89PNG")
