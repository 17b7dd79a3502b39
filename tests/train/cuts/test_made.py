"""The sections of the cuts that are compared."""

from __future__ import annotations

import pytest

from recipes.errors import UserError
from recipes.loader import load
from recipes.prune import METHODS_BY_COUNT, TextCalibration
from recipes.schema import Recipe
from train.cuts.made import check_all, section_of


def recipe(*arguments: str) -> Recipe:
    found: Recipe = load(["recipe=full_recovery.yaml", *arguments])
    return found


@pytest.mark.parametrize("method", METHODS_BY_COUNT)
def test_every_method_is_given_its_number_of_layers(method: str) -> None:
    section = section_of(method, 3, recipe())
    assert (section.method, section.model_dump()["layers"]) == (method, 3)


def test_what_is_measured_on_is_taken_from_the_recipe() -> None:
    texts = "prune.calibration={source: text, path: t.txt}"
    of_recipe = recipe("prune.method=shortgpt", "prune.calibration_traces=7", texts)
    section = section_of("perplexity", 1, of_recipe).model_dump()
    assert section["calibration_traces"] == 7
    assert section["calibration"] == TextCalibration.model_validate({"source": "text", "path": "t.txt"}).model_dump()


def test_a_method_keeps_its_own_default_where_the_recipe_names_none() -> None:
    of_recipe = recipe("prune.method=shortgpt")
    counts = [section_of(method, 1, of_recipe).model_dump()["calibration_traces"] for method in ("perplexity", "laco")]
    assert counts == [128, 16]


def test_a_method_that_measures_nothing_takes_no_calibration() -> None:
    of_recipe = recipe("prune.method=shortgpt", "prune.calibration_traces=7")
    assert section_of("tail", 1, of_recipe) == section_of("tail", 1, recipe())


@pytest.mark.parametrize("method", ["tail", "perplexity"])
def test_a_repair_and_what_it_is_measured_on_are_taken_from_the_recipe(method: str) -> None:
    of_recipe = recipe("prune.method=shortgpt", "prune.repair=linear", "prune.calibration_traces=7")
    section = section_of(method, 1, of_recipe).model_dump()
    assert (section["repair"], section["calibration_traces"]) == ("linear", 7)


def test_a_method_without_gaps_is_not_repaired() -> None:
    assert "repair" not in section_of("laco", 1, recipe("prune.repair=linear")).model_dump()


def test_every_cut_is_checked_before_the_first_is_made() -> None:
    with pytest.raises(UserError, match="8 of 8 layers"):
        check_all(recipe(), ["tail", "shortgpt"], [1, 8])
