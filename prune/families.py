"""Which models can be cut, and the config of a cut model: pure functions on configs, and errors that say why not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

from data_prep.contradictions import PER_LAYER_LISTS
from recipes.errors import UserError

OTHER_LISTS = ("architectures", "eos_token_id", "bos_token_id", "pad_token_id")
"""config lists whose length has nothing to do with layers"""

CUTTABLE_LAYER_TYPES = (
    *("full_attention", "sliding_attention", "chunked_attention"),
    *("attention", "linear_attention", "conv", "mamba"),  # in hybrids: each layer has its own state
)

ATTENDING = {"full_attention", "sliding_attention", "chunked_attention", "attention"}

FIRST_COUNTS = ("max_window_layers", "first_k_dense_replace", "num_dense_layers")
"""how many of the first layers are of another kind: without experts, or without a window"""

INDEX_LISTS = ("mlp_only_layers", "full_attn_idxs")
"""config lists of layer indices"""

REFUSED_FAMILIES = {
    "gemma3n": "its embedding has a part for every layer, and its last layers reuse keys and values of earlier ones",
    "gemma4": "its layers differ in shape by position, and share keys, values and embeddings",
    "mamba": "it is a state space model: it has no attention, and no list of layers at `model.layers`",
    "falcon_mamba": "it is a state space model: it has no attention, and no list of layers at `model.layers`",
}
"""families by the prefix of their type (`mamba` includes mamba2): why they cannot be cut"""

REFUSALS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "is_encoder_decoder": (bool, "it has an encoder; only decoder-only models can be cut"),
    "is_heterogeneous": (bool, "its layers differ by `per_layer_config`"),
    "num_kv_shared_layers": (bool, "its last layers reuse the keys and values of earlier ones"),
    "scale_attn_by_inverse_layer_idx": (bool, "its attention is scaled by the layer's index"),
    "hidden_size_per_layer_input": (bool, "its embedding has a part for every layer"),
    "moe_layer_freq": (lambda step: isinstance(step, int) and step > 1, "its experts sit in layers chosen by index"),
    "quantization_config": (bool, "its weights are quantised; cut the original weights"),
}
"""config key: (is this value one that cannot be cut?, why)"""


def check_family(config: Any) -> None:
    """Raises UserError, with the family's name, for a family that cannot be cut; runs before any weights are loaded."""
    family = str(config.get_text_config().model_type)
    for beginning, reason in REFUSED_FAMILIES.items():
        if family.startswith(beginning):
            raise _refusal(config, reason)


def decoder_layers(model: PreTrainedModel) -> nn.ModuleList:
    """The layers of a decoder-only model, in order. Raises UserError if they are not at `model.layers`."""
    layers = getattr(getattr(model, "model", None), "layers", None)
    if not isinstance(layers, nn.ModuleList):
        raise _refusal(
            model.config, "its layers are not a list at `model.layers`; only decoder-only text models can be cut"
        )
    return layers


def empty_model(config: PreTrainedConfig) -> PreTrainedModel:
    """A model of that config without storage, to inspect its modules. Raises UserError if transformers cannot build
    it."""
    with torch.device("meta"):
        try:
            # eager, which every family has: nothing is computed
            model: PreTrainedModel = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
        except (ValueError, AttributeError, TypeError) as fault:
            said = " ".join(str(fault).split())[:200]
            raise _refusal(config, f"transformers builds no text model from its config ({said})") from None
    return model


def check_cuttable(model: PreTrainedModel) -> None:
    """Raises UserError, with config key and value, if removing layers would change what the other layers compute."""
    check_family(model.config)
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
    step = getattr(config, "decoder_sparse_step", None)
    if step not in (None, 1) and not hasattr(config, "mlp_only_layers"):
        raise _refusal(config, f"decoder_sparse_step={step}: its experts sit in layers chosen by index")
    _check_lists(config)


def check_attends(config: PreTrainedConfig, kept: Sequence[int]) -> None:
    """Raises UserError if no layer in `kept` of a hybrid has attention: transformers cannot decode such a model."""
    kinds = list(getattr(config, "layer_types", None) or ())
    attending = [i for i, kind in enumerate(kinds) if kind in ATTENDING]
    if attending and not set(attending) & set(kept):
        raise UserError(
            f"prune: none of the remaining layers has attention (in the unpruned model layers {attending} do), and "
            "transformers cannot decode such a model; keep one of them"
        )


def cut_values(config: PreTrainedConfig, kept: Sequence[int]) -> dict[str, Any]:
    """The config values of a model with only the layers `kept` (0-based, in order): their number, every per-layer list.

    `layer_types` stays explicit, so that a reload does not derive sliding windows from a layer's new position. A count
    of first layers of another kind (`max_window_layers`, `first_k_dense_replace`) becomes the number of those kept.
    Layer indices become the new ones. A cut model cannot express experts in every n-th layer (`decoder_sparse_step`),
    so its layers without experts are listed one by one.
    """
    values: dict[str, Any] = {"num_hidden_layers": len(kept)}
    for key in PER_LAYER_LISTS:
        entries = getattr(config, key, None)
        if entries is not None:
            values[key] = [entries[i] for i in kept]
    for key in FIRST_COUNTS:
        first = getattr(config, key, None)
        if first is not None:
            values[key] = sum(i < first for i in kept)
    for key in INDEX_LISTS:
        chosen = getattr(config, key, None)
        if chosen is not None:
            values[key] = [index for index, i in enumerate(kept) if i in chosen]
    step = getattr(config, "decoder_sparse_step", None)
    if step not in (None, 1):
        dense = config.mlp_only_layers or ()
        values["mlp_only_layers"] = [index for index, i in enumerate(kept) if i in dense or (i + 1) % step]
        values["decoder_sparse_step"] = 1
    return values


def _check_lists(config: PreTrainedConfig) -> None:
    layers = config.num_hidden_layers
    for key, values in config.to_dict().items():
        if not isinstance(values, (list, tuple)) or key in (*OTHER_LISTS, *INDEX_LISTS):
            continue
        if key in PER_LAYER_LISTS and len(values) != layers:
            raise _refusal(config, f"{key} has {len(values)} entries for {layers} layers")
        # as long as there are layers: most likely one entry per layer, and a wrong guess would be silent
        if key not in PER_LAYER_LISTS and len(values) == layers:
            raise _refusal(
                config, f"{key} has {layers} entries, one per layer, and chainmend cannot tell how to cut it"
            )


def _refusal(config: PreTrainedConfig, reason: str) -> UserError:
    return UserError(f"prune: a model of type {config.model_type!r} cannot be cut: {reason}")
