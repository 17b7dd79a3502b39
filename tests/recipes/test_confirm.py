"""What confirms: a recipe's section, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from recipes.confirm import ConfirmSection
from recipes.loader import load

CHOICES = {"source": "named", "name": "mmlu", "method": "likelihood"}


def test_without_a_suite_the_deciding_one_is_meant() -> None:
    assert ConfirmSection(problems=30) == ConfirmSection(problems=30, seed=1, suite=None)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({}, "Field required"),
        ({"problems": 1}, "greater than or equal to 2"),
        ({"problems": 30, "suite": CHOICES}, "suite.method=likelihood has no budgets"),
    ],
)
def test_what_cannot_confirm_is_refused(fields: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        ConfirmSection.model_validate(fields)


@pytest.mark.parametrize(("keys", "name"), [([], "chain"), (["sweep.verdict.suite=shallow"], "shallow")])
def test_the_suite_that_decides_is_the_named_one_or_the_last(keys: list[str], name: str) -> None:
    assert load(["recipe=lora_recovery.yaml", *keys]).sweep.deciding_suite.name == name
