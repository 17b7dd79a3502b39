"""The table of known benchmarks: recipes, help and loader follow it."""

from __future__ import annotations

from typing import get_args

from recipes.benchmarks import BENCHMARKS
from recipes.suites import NamedSuite


def test_multiple_choices_are_those_with_the_choice_grader() -> None:
    assert {name for name, known in BENCHMARKS.items() if known.has_choices} == {
        "gpqa_diamond",
        "mmlu",
        "arc_challenge",
    }


def test_the_help_names_what_is_scored_as_text_by_default() -> None:
    description = NamedSuite.model_fields["likelihood"].description
    assert description == "what is scored by likelihood; default: text_normalised for arc_challenge, else letter"


def test_the_table_and_the_recipe_name_the_same_benchmarks() -> None:
    assert set(BENCHMARKS) == set(get_args(NamedSuite.model_fields["name"].annotation))
