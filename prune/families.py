"""Which models can be cut, and the config of a cut one: pure functions on configs, and refusals that say why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from data_prep.soundness import PER_LAYER_LISTS
from recipes.errors import UserError

OTHER_LISTS = ("architectures", "eos_token_id", "bos_token_id", "pad_token_id")
"""config lists whose length has nothing to do with layers"""

CUTTABLE_LAYER_TYPES = ("full_attention", "sliding_attention", "chunked_attention")

REFUSALS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "is_encoder_decoder": (bool, "it has an encoder; only decoder-only models can be cut"),
    "is_heterogeneous": (bool, "its layers differ by `per_layer_config`"),
    "num_kv_shared_layers": (bool, "its last layers reuse the keys and values of earlier ones"),
    "scale_attn_by_inverse_layer_idx": (bool, "its attention is scaled by the layer's index"),
    "decoder_sparse_step": (lambda step: step not in (None, 1), "its experts sit in layers chosen by index"),
    "mlp_only_layers": (bool, "its layers without experts are named by index"),
    "first_k_dense_replace": (bool, "its first layers differ from the others by index"),
    "quantization_config": (bool, "its weights are quantised; cut the original weights"),
}
"""config key: (is this value one that cannot be cut?, why)"""


def decoder_layers(model: PreTrainedModel) -> nn.ModuleList:
    """The layers of a decoder-only model, in order. UserError where they are not at `model.layers`."""
    layers = getattr(getattr(model, "model", None), "layers", None)
    if not isinstance(layers, nn.ModuleList):
        raise _refusal(
            model.config, "its layers are not a list at `model.layers`; only decoder-only text models can be cut"
        )
    return layers


def check_cuttable(model: PreTrainedModel) -> None:
    """UserError, with config key and value, where removing layers would change what the other layers compute."""
    layers, config = decoder_layers(model), model.config
    if config.num_hidden_layers != len(layers):
        raise _refusal(config, f"num_hidden_layers={config.num_hidden_layers}, but there are {len(layers)} layers")
    for key, (refused, reason) in REFUSALS.items():
        value = getattr(config, key, None)
        if refused(value):
            raise _refusal(config, f"{key}={value}: {reason}")
    other_types = sorted(set(getattr(config, "layer_types", None) or ()) - set(CUTTABLE_LAYER_TYPES))
    if other_types:
        raise _refusal(config, f"layer_types has {other_types}; only {', '.join(CUTTABLE_LAYER_TYPES)} are handled")
    _check_lists(config)


def cut_values(config: PreTrainedConfig, kept: Sequence[int]) -> dict[str, Any]:
    """The config values of a model of only the layers `kept` (0-based, in order): their number, every per-layer list.

    `layer_types` stays explicit, so that a reload does not derive sliding windows from a layer's new place;
    `max_window_layers`, the older way to say the same, becomes the number of kept layers among the first so many.
    """
    values: dict[str, Any] = {"num_hidden_layers": len(kept)}
    for key in PER_LAYER_LISTS:
        entries = getattr(config, key, None)
        if entries is not None:
            values[key] = [entries[i] for i in kept]
    if getattr(config, "max_window_layers", None) is not None:
        values["max_window_layers"] = sum(i < config.max_window_layers for i in kept)
    return values


def _check_lists(config: PreTrainedConfig) -> None:
    layers = config.num_hidden_layers
    for key, values in config.to_dict().items():
        if not isinstance(values, (list, tuple)) or key in OTHER_LISTS:
            continue
        if key in PER_LAYER_LISTS and len(values) != layers:
            raise _refusal(config, f"{key} has {len(values)} entries for {layers} layers")
        # as long as the model is deep: most likely one entry per layer, and a wrong guess would be silent
        if key not in PER_LAYER_LISTS and len(values) == layers:
            raise _refusal(
                config, f"{key} has {layers} entries, one per layer, and chainmend cannot tell how to cut it"
            )


def _refusal(config: PreTrainedConfig, reason: str) -> UserError:
    return UserError(f"prune: a model of type {config.model_type!r} cannot be cut: {reason}")
