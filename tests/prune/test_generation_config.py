"""A generation config that transformers would refuse to save is repaired so that it means the same, or refused."""

from __future__ import annotations

from typing import Any

import pytest
from transformers import GenerationConfig

from prune.generation_config import savable
from recipes.errors import UserError


def changed(values: dict[str, Any]) -> dict[str, Any]:
    """What `savable` makes of a config with `values`, by those of its fields that are then not None, of all fields."""
    before, after = GenerationConfig(**values), savable(GenerationConfig(**values))
    after.validate(strict=True)
    fields = before.to_dict().keys()
    return {name: getattr(after, name) for name in fields if getattr(after, name) != getattr(before, name)}


@pytest.mark.parametrize(
    "values",
    [
        {"temperature": 0.6, "top_p": 0.95, "top_k": 20},  # as Qwen publishes them
        {"temperature": 0.7},
        {"top_p": 0.9},
        {"top_k": 20},
        {"min_p": 0.1},
        {"typical_p": 0.9},
        {"epsilon_cutoff": 3e-4},
        {"eta_cutoff": 3e-4},
    ],
)
def test_sampling_values_alone_turn_sampling_on(values: dict[str, Any]) -> None:
    assert changed(values) == {"do_sample": True}


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"do_sample": True, "temperature": 0.6},
        {"do_sample": False},
        {"temperature": 1.0, "top_p": 1.0, "top_k": 50},  # the values that change nothing
        {"num_beams": 4, "early_stopping": True, "length_penalty": 2.0},
        {"max_new_tokens": 32_768, "repetition_penalty": 1.05, "eos_token_id": [1, 2]},
        {"cache_implementation": "static"},
        {"return_dict_in_generate": True, "output_scores": True},
    ],
)
def test_a_sound_config_is_left_as_it_is(values: dict[str, Any]) -> None:
    assert changed(values) == {}


@pytest.mark.parametrize(
    ("values", "unset"),
    [
        ({"do_sample": False, "temperature": 0.6, "top_p": 0.9}, {"temperature", "top_p"}),
        ({"num_beams": 4, "temperature": 0.6}, {"temperature"}),
        ({"early_stopping": True}, {"early_stopping"}),
        ({"early_stopping": "never", "length_penalty": 2.0, "num_beams": 1}, {"early_stopping", "length_penalty"}),
        ({"use_cache": False, "cache_implementation": "static"}, {"cache_implementation"}),
        ({"output_scores": True, "output_attentions": True}, {"output_scores", "output_attentions"}),
        ({"pad_token_id": -1}, {"pad_token_id"}),
    ],
)
def test_values_without_effect_are_unset_and_sampling_stays_off(values: dict[str, Any], unset: set[str]) -> None:
    assert changed(values) == dict.fromkeys(unset)


def test_each_fault_is_repaired_in_its_own_way() -> None:
    both = {"temperature": 0.6, "early_stopping": True, "pad_token_id": -1}
    assert changed(both) == {"do_sample": True, "early_stopping": None, "pad_token_id": None}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_new_tokens", -5),
        ("early_stopping", "soon"),
        ("cache_implementation", "bogus"),
        ("num_return_sequences", 3),
        ("assistant_ensemble_weight", 2.0),
        ("streamer", "x"),
    ],
)
def test_what_has_no_meaning_is_refused_by_its_field(name: str, value: object) -> None:
    config = GenerationConfig(num_beams=2)
    setattr(config, name, value)
    with pytest.raises(UserError, match=f"generation config of the unpruned model: .*`{name}`"):
        savable(config)


def test_forcing_a_token_that_is_suppressed_is_refused() -> None:
    config = GenerationConfig()
    config.suppress_tokens, config.forced_eos_token_id = [3], 3
    with pytest.raises(UserError, match="forced_eos_token_id.*suppress_tokens"):
        savable(config)


def test_the_config_that_was_given_stays_as_it_was() -> None:
    config = GenerationConfig(temperature=0.6)
    savable(config)
    assert config.do_sample is None
