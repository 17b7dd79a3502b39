"""The recipe of a study."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from recipes.errors import UserError
from recipes.loader import load
from recipes.study import ArmSection, StudyRecipe, full_name

ARMS = {"one": {"title": "one"}, "two": {"title": "two", "variants": {"slow": [], "fast": []}}}
STUDY: dict[str, Any] = {"question": "Why?", "base": "full_recovery.yaml", "arms": ARMS}


def test_variants_are_arms_of_their_own() -> None:
    assert StudyRecipe.model_validate(STUDY).arm_names() == ["one", "two-slow", "two-fast"]


def test_an_arm_that_is_null_is_none() -> None:
    assert StudyRecipe.model_validate({**STUDY, "arms": {**ARMS, "one": None}}).arm_names() == ["two-slow", "two-fast"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"pairs": [["one", "three"]]}, "pairs or claims name three; the arms are one, two-slow, two-fast"),
        ({"pairs": [["one", "two"]]}, "name two; the arms are"),
        ({"pairs": [["one", "one"]]}, "a pair is two different arms"),
        ({"pairs": [["one"]]}, "a pair is two different arms"),
        ({"seeds": [1, 1]}, "seeds must differ"),
        ({"seeds": []}, "at least 1 item"),
        ({"arms": {"one": {"title": "one", "seeds": [2, 2]}}}, "seeds must differ"),
        ({"arms": {"one": {"title": "one", "parts": ["own"]}}}, "the parts own, which are not in parts"),
        ({"arms": {"a/b": {"title": "one"}}}, "must be a name, not a path"),
        ({"arms": {}}, "at least 1 item"),
        ({"claims": {"it": {"kind": "back", "arm": "none", "number": "level", "expected": "above"}}}, "name none;"),
        (
            {"claims": {"it": {"kind": "back", "arm": "one", "number": "termination", "expected": "above"}}},
            "'level' or 'gain'",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(more: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        StudyRecipe.model_validate({**STUDY, **more})


def test_an_arm_may_be_compared_with_its_own_models() -> None:
    claim = {"kind": "difference", "arm": "one", "against": "unpruned", "number": "level", "expected": "below"}
    assert StudyRecipe.model_validate({**STUDY, "claims": {"it": claim}}).claims["it"].arm == "one"


def test_the_name_of_a_variant() -> None:
    assert [full_name("lora", variant) for variant in ("1e-4", "")] == ["lora-1e-4", "lora"]


def test_seeds_of_an_arm_are_the_studys_by_default() -> None:
    assert ArmSection(title="a").seeds is None


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("claims.sft_alone.expected=up", "claims.sft_alone.expected=up: allowed: above, below"),
        ("arms.full.title=null", "arms.full.title=null: must be text"),
    ],
)
def test_a_fault_is_said_with_its_whole_key(argument: str, said: str) -> None:
    with pytest.raises(UserError) as fault:
        load(["recipe=study.yaml", argument], StudyRecipe)
    assert str(fault.value).startswith(said)
