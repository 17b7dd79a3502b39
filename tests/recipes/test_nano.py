"""The recipe of the embedded reasoner: the model that ships, and what cannot be built."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from recipes.nano import NanoModel, NanoRecipe
from recipes.paths import ROOT


def test_its_defaults_are_the_shape_that_ships() -> None:
    config = json.loads((ROOT / "data_prep" / "nano_model" / "config.json").read_text())
    names = {
        "layers": "num_hidden_layers",
        "hidden_size": "hidden_size",
        "heads": "num_attention_heads",
        "key_value_heads": "num_key_value_heads",
        "head_size": "head_dim",
        "intermediate_size": "intermediate_size",
    }
    assert NanoModel().model_dump() == {ours: config[theirs] for ours, theirs in names.items()}


@pytest.mark.parametrize("fields", [{"model": {"layers": 3}}, {"training": {"learning_rate": 0}}, {"steps": 5}])
def test_what_cannot_be_built_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        NanoRecipe.model_validate(fields)
