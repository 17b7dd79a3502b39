"""What every section can do."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from recipes.schema import LoraAdapter
from recipes.suites import NanoSuite
from recipes.sweep import SweepSection

SUITE = NanoSuite(source="nano", name="chain", family="chain", size=4)
SWEEP = SweepSection(budgets=[8, 16], suites=[SUITE], every_steps=2, answer_tokens=4)


def test_a_section_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        SWEEP.samples = 2  # type: ignore[misc]


def test_a_changed_section_has_the_new_values_and_the_old_ones() -> None:
    assert SWEEP.changed(budgets=[4]) == SweepSection(budgets=[4], suites=[SUITE], every_steps=2, answer_tokens=4)


def test_the_section_itself_stays() -> None:
    LoraAdapter(method="lora").changed(r=4)
    SWEEP.changed(budgets=[4])
    assert SWEEP.budgets == [8, 16]


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"budgets": [16, 8]}, "strictly increasing"),
        ({"samples": 2}, "samples=2 with temperature=0"),
        ({"answer_tokens": "many"}, "valid integer"),
        ({"nonsense": 1}, "Extra inputs are not permitted"),
    ],
    ids=str,
)
def test_a_change_is_checked_as_a_recipe_is(values: dict[str, object], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        SWEEP.changed(**values)
