"""The section of a run's own thoughts: how its horizon grows, and what it needs of the rest of a recipe."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from recipes.errors import UserError
from recipes.loader import load_recipe
from recipes.on_policy import HorizonSection


@pytest.mark.parametrize(("step", "tokens"), [(0, 100), (1, 130), (5, 250), (10, 400), (99, 400)])
def test_the_horizon_grows_in_a_straight_line_and_then_stays(step: int, tokens: int) -> None:
    assert HorizonSection(start=100, end=400, steps=10).at(step) == tokens


def test_without_steps_it_is_as_long_as_it_gets_from_the_beginning() -> None:
    assert HorizonSection(start=100, end=400, steps=0).at(0) == 400


def test_a_horizon_that_shrinks_is_refused() -> None:
    with pytest.raises(ValidationError, match="end=50 is below start=100; the horizon must not shrink"):
        HorizonSection(start=100, end=50, steps=10)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("loss.name=nll", "on_policy needs loss.name=distill"),
        ("loss.nll_weight=0.1", "on_policy needs loss.name=distill with a weight and loss.nll_weight=0"),
        ("loss.tokens=damage", "on_policy needs a teacher that answers while the run trains"),
        ("loss.teacher.logits=taught", "on_policy needs a teacher that answers while the run trains"),
        ("data.packing=true", "on_policy with data.packing=true: thoughts come row by row; write data.packing=false"),
    ],
)
def test_own_tokens_are_no_labels_and_have_no_stored_answers(key: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        load_recipe(["recipe=on_policy_recovery.yaml", key])


@pytest.mark.parametrize("key", ["on_policy.share=0", "on_policy.temperature=0", "on_policy.most_inflation=1"])
def test_values_without_a_meaning_are_refused(key: str) -> None:
    with pytest.raises(UserError, match=key.split("=")[0]):
        load_recipe(["recipe=on_policy_recovery.yaml", key])


def test_the_section_is_off_by_default() -> None:
    section: Any = load_recipe(["recipe=distill_recovery.yaml"]).recipe.on_policy
    assert section is None
