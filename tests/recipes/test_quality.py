"""Which traces are kept by their scores: one way to say it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from recipes.quality import SelectSection


@pytest.mark.parametrize(
    "fields",
    [{"share": 0.5}, {"count": 3}, {"keep": "band", "low": 1.0, "high": 1.0}, {"keep": "top", "count": 1}],
    ids=str,
)
def test_a_selection_is_said_in_one_way(fields: dict[str, Any]) -> None:
    assert SelectSection(scores="s.jsonl", **fields).score == "gap"


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({}, "keep=middle takes either share or count"),
        ({"share": 0.5, "count": 3}, "keep=middle takes either share or count"),
        ({"share": 0.5, "low": 1.0}, "and neither low nor high"),
        ({"keep": "band", "low": 1.0}, "keep=band takes low and high"),
        ({"keep": "band", "low": 1.0, "high": 2.0, "count": 3}, "and neither share nor count"),
        ({"keep": "band", "low": 2.0, "high": 1.0}, "low=2.0 must not be above high=1.0"),
    ],
    ids=str,
)
def test_a_selection_that_says_too_little_or_too_much_is_refused(fields: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        SelectSection(scores="s.jsonl", **fields)
