"""The recipe as a whole: what its sections demand of each other, and that it is frozen."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

import pytest

from recipes.schema import Recipe

Load = Callable[..., Recipe]
Refusal = Callable[..., str]
BEST = "keep_best=sweep/chain/gain"


def test_the_trainer_section_is_frozen(load_small: Load) -> None:
    with pytest.raises(TypeError):
        load_small().trainer["max_steps"] = 9  # type: ignore[index]


def test_a_trainer_section_that_is_not_given_is_frozen_too(load_small: Load) -> None:
    bare = load_small().model_dump() | {"trainer": {}}
    del bare["trainer"]
    assert isinstance(Recipe.model_validate(bare).trainer, MappingProxyType)


@pytest.mark.parametrize("mode", ["python", "json"])
def test_it_is_dumped_as_a_plain_dictionary(load_small: Load, mode: str) -> None:
    dumped = load_small().model_dump(mode=mode)["trainer"]
    assert type(dumped) is dict and dumped == {"learning_rate": 5e-4, "max_steps": 7}


def test_a_recipe_survives_being_dumped_and_read(load_small: Load) -> None:
    recipe = load_small()
    assert Recipe.model_validate(recipe.model_dump()) == recipe
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


def test_a_changed_trainer_section_is_checked(load_small: Load) -> None:
    recipe = load_small()
    assert recipe.changed(trainer={**recipe.trainer, "max_steps": 9}).trainer["max_steps"] == 9
    with pytest.raises(ValueError, match=r"trainer\.output_dir=x: chainmend sets this field"):
        recipe.changed(trainer={"output_dir": "x"})


def test_the_best_by_a_sweep(load_small: Load) -> None:
    assert load_small(BEST, "export.checkpoint=best").keep_best == "sweep/chain/gain"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            [BEST, "sweep.background=true"],
            "keep_best needs the result of a sweep at its own step; write sweep.background=false",
        ),
        (
            ["early_stop.on=verdict", "sweep.background=true"],
            "early_stop needs the result of a sweep at its own step; write sweep.background=false",
        ),
        (
            ["keep_best=sweep/aime/gain"],
            "keep_best=sweep/aime/gain: no suite aime in sweep.suites, which are chain, knowledge",
        ),
        (
            ["early_stop={on: plateau, metric: sweep/aime/level}"],
            "early_stop.metric=sweep/aime/level: no suite aime in sweep.suites, which are chain, knowledge",
        ),
        (["export.checkpoint=best"], "export.checkpoint=best needs keep_best, such as keep_best=sweep/knowledge/gain"),
    ],
    ids=["best in background", "stop in background", "best of no suite", "plateau of no suite", "best of nothing"],
)
def test_what_is_decided_by_a_sweep_needs_that_sweep(refusal: Refusal, arguments: list[str], message: str) -> None:
    assert refusal(*arguments) == message
