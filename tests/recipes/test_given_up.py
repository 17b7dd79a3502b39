"""Keys of earlier versions: refused in a recipe, left out of what an old run recorded."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from recipes.given_up import GIVEN_UP, without_given_up
from recipes.keys import keys_of
from recipes.schema import Recipe
from recipes.sweep import VerdictSection

KEY = "sweep.verdict.resamples"


def test_a_recipe_that_has_one_is_told_why_and_what_to_do(refusal: Callable[..., str]) -> None:
    assert refusal(f"{KEY}=300") == f"{KEY}=300: {GIVEN_UP[KEY]}"
    assert "docs/statistics.md" in GIVEN_UP[KEY] and "remove it" in GIVEN_UP[KEY]


def test_a_record_loses_them_and_nothing_else() -> None:
    record = {"seed": 1, "sweep": {"budgets": [8], "verdict": {"delta": 0.1, "margin": 0.05, "resamples": 10_000}}}
    assert without_given_up(record) == {"seed": 1, "sweep": {"budgets": [8], "verdict": {"delta": 0.1}}}
    assert record["sweep"]["verdict"]["resamples"] == 10_000  # type: ignore[index]


@pytest.mark.parametrize(
    ("key", "new"), [("margin", "returned_share"), ("level_margin", "delta"), ("min_recovered", "returned_share")]
)
def test_the_margins_of_the_verdict_name_what_took_their_place(key: str, new: str, refusal: Callable[..., str]) -> None:
    assert f"sweep.verdict.{new}" in refusal(f"sweep.verdict.{key}=0.05")
    assert new in VerdictSection.model_fields


def test_a_record_without_the_section_stays() -> None:
    for record in ({}, {"sweep": None}, {"sweep": {"budgets": [8]}}):
        assert without_given_up(record) == record


def test_no_key_is_both_given_up_and_in_use() -> None:
    assert not GIVEN_UP.keys() & {key.path for key in keys_of(Recipe)}
