"""Names that were probably meant: of other tools, and misspelt ones."""

from __future__ import annotations

import pytest

from recipes.keys import keys_of
from recipes.names import FOREIGN_NAMES, NOT_OFFERED, closest
from recipes.schema import Recipe
from recipes.trainer_fields import free_fields


def test_every_foreign_name_leads_to_a_key_that_is_there() -> None:
    keys = {key.path for key in keys_of(Recipe)} | {f"trainer.{name}" for name in free_fields()}
    assert {name: key for name, key in FOREIGN_NAMES.items() if key not in keys} == {}


def test_what_is_not_offered_is_no_key() -> None:
    assert not set(NOT_OFFERED) & {key.path for key in keys_of(Recipe)}


@pytest.mark.parametrize(
    ("name", "meant"), [("lern_rate", "learn_rate"), ("Learn-Rate", "learn_rate"), ("zzz", None), ("epoch", "epochs")]
)
def test_the_closest_name(name: str, meant: str | None) -> None:
    assert closest(name, ["learn_rate", "epochs"]) == meant


def test_a_higher_cutoff_takes_fewer_names() -> None:
    assert closest("epo", ["epochs"]) == "epochs" and closest("epo", ["epochs"], cutoff=0.9) is None
