"""Makes a generation config that transformers agrees to save.

A config that is unchanged since it was loaded is saved with only a warning, whatever it holds. Once anything changes,
as in training, transformers refuses to save values that have no effect. Published checkpoints contain such values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from transformers import GenerationConfig

from recipes.errors import UserError

SAMPLING: Mapping[str, Any] = {
    "temperature": 1.0,
    "top_k": 50,
    "top_p": 1.0,
    "min_p": None,
    "top_h": None,
    "typical_p": 1.0,
    "epsilon_cutoff": 0.0,
    "eta_cutoff": 0.0,
}
"""fields that only sampling reads, with the value that has no effect"""

Rule = tuple[Callable[[GenerationConfig], bool], Mapping[str, Any]]

WITHOUT_EFFECT: tuple[Rule, ...] = (
    (lambda config: config.do_sample is not True, SAMPLING),
    (lambda config: not _has_beams(config), {"early_stopping": False, "length_penalty": 1.0}),
    (lambda config: config.use_cache is False, {"cache_implementation": None, "cache_config": None}),
    (
        lambda config: config.return_dict_in_generate is not True,
        dict.fromkeys(("output_attentions", "output_hidden_states", "output_scores", "output_logits"), False),
    ),
    # -1 meant "none" in the configs of the first Llamas
    (lambda config: (config.pad_token_id or 0) < 0, {"pad_token_id": None}),
)
"""(condition, fields that are then not read, each with the value that has no effect)"""


def savable(generation: GenerationConfig) -> GenerationConfig:
    """A copy that can be saved and has the same meaning.

    If sampling values are set and nothing says how to decode, sampling is turned on: whoever publishes a temperature
    wants it used. Other values without effect are unset. Raises UserError, with the field, for anything else that
    transformers refuses to save.
    """
    config = deepcopy(generation)
    if config.do_sample is None and not _has_beams(config) and _set(config, SAMPLING):
        config.do_sample = True
    for applies, fields in WITHOUT_EFFECT:
        if applies(config):
            for name in _set(config, fields):
                setattr(config, name, None)
    try:
        config.validate(strict=True)
    except ValueError as fault:
        # the field is in the first line, or in the second if the first only says that something is wrong
        reason = " ".join(line.strip() for line in str(fault).strip().splitlines()[:2])
        raise UserError(
            f"prune: transformers refuses to save the generation config of the unpruned model: {reason[:300]} "
            "(correct its generation_config.json, or remove that file)"
        ) from None
    return config


def changes_of(before: GenerationConfig) -> dict[str, tuple[Any, Any]]:
    """Field -> (value, value in `savable(before)`) for the fields that differ. Raises UserError as `savable` does."""
    old, new = before.to_diff_dict(), savable(before).to_diff_dict()
    return {
        key: (old.get(key), new.get(key)) for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)
    }


def _has_beams(config: GenerationConfig) -> bool:
    return (config.num_beams or 1) > 1


def _set(config: GenerationConfig, fields: Mapping[str, Any]) -> list[str]:
    """The fields whose value differs from the one that has no effect."""
    return [name for name, neutral in fields.items() if getattr(config, name, None) not in (None, neutral)]
