"""Contradictions between a checkpoint's config and its weights: one line per fault, from the headers alone.

A fault must neither hide another one nor cause a false one: with a wrong number of layers, everything else is checked
as if the number were right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import safe_open
from transformers import CONFIG_MAPPING, AutoConfig, AutoModelForCausalLM, PreTrainedConfig
from transformers.conversion_mapping import get_checkpoint_conversion_mapping
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from data_prep.weight_files import Tensor
from recipes.errors import UserError

PER_LAYER_LISTS = ("layer_types", "mlp_layer_types", "no_rope_layers")
"""config lists with one entry per layer"""

LAYER = re.compile(r"^model\.layers\.(\d+)\.")
PREFIXED = re.compile(r"^(.+\.)?(?:layers|h|blocks)\.\d+\.")
HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"
DERIVED = ".rotary_emb.inv_freq"
"""stored by old checkpoints, computed by every model"""

QUANTISED = ("I8", "U8", "F8_E4M3", "F8_E5M2", "I32")
BUILD_ERRORS = (
    *(ValueError, RuntimeError, TypeError, ZeroDivisionError, KeyError, AttributeError, AssertionError, OSError),
    StrictDataclassError,
)
"""exceptions that transformers raises for configs that it cannot interpret"""

Tensors = Mapping[str, Tensor]


def stored_layers(folder: Path, tensors: Tensors) -> int:
    """The number of stored layers. UserError if there is none, or one is missing in between."""
    stored = sorted({int(match[1]) for name in tensors if (match := LAYER.match(name))})
    if not stored:
        raise UserError(f"{folder}: no tensor is named model.layers.N.*; {_other_names(tensors)}")
    if stored != list(range(len(stored))):
        gap = next(i for i in range(stored[-1]) if i not in stored)
        raise UserError(
            f"{folder}: the weights have layers up to {stored[-1]} but none for layer {gap}; they must be "
            "numbered without gaps, cut the model again with `python -m prune`"
        )
    return len(stored)


def _other_names(tensors: Tensors) -> str:
    """What the tensors are called instead, and what to do."""
    for name in sorted(tensors):
        if (found := PREFIXED.match(name)) is not None:
            what = f"the first layer tensor found is {name}"
            prefix = found[1] or ""
            if prefix.startswith("base_model.") or ".lora_" in name:
                return f"{what}: an unmerged PEFT adapter; merge it (`merge_and_unload`) and save the model"
            if prefix.endswith("model.") and "language" not in prefix:
                return f"{what}: save the model without the prefix {prefix.removesuffix('model.')!r}"
            return f"{what}; only standard decoder-only text models are read, give such a model or its export"
    first = f"the first tensor is {min(tensors)}" if tensors else "there are no tensors"
    return f"{first}; only standard decoder-only checkpoints are read, give the original model or its export"


def contradictions(folder: Path, raw: Mapping[str, Any], tensors: Tensors, layers: int) -> tuple[list[str], Any]:
    """All faults, and the config as transformers builds it (with the stored number of layers; None if it refuses)."""
    file = folder / "config.json"
    if "text_config" in raw:
        kind = raw.get("model_type", "unknown")
        return [f"{file}: a multimodal model ({kind}); only text models are read, save its text model alone"], None
    faults = [*_count_faults(folder, raw, layers), *_rope_faults(file, raw), *_stray_faults(folder, raw, tensors)]
    try:
        config = _effective_config(folder, raw, layers)
        if not faults and config.num_hidden_layers != layers:
            faults.append(count_lies(folder, config.num_hidden_layers, layers))
            config = _config_of({**raw, "num_hidden_layers": layers})
    except BUILD_ERRORS as error:
        return [*faults, f"{file}: transformers refuses it: {_first_line(error)}"], None
    tied = is_tied(config, tensors)
    faults += _tie_faults(folder, tied, tensors)
    if not any("rope type" in fault for fault in faults):
        faults += _name_and_shape_faults(folder, config, tensors, tied)
    return faults, config


def is_tied(config: Any, tensors: Tensors) -> bool:
    return bool(getattr(config, "tie_word_embeddings", HEAD not in tensors))


def _count_faults(folder: Path, raw: Mapping[str, Any], layers: int) -> Iterator[str]:
    said = raw.get("num_hidden_layers", layers)
    if not isinstance(said, int):
        yield f"{folder / 'config.json'}: num_hidden_layers={said!r}: must be a whole number; write {layers}, unquoted"
    elif said != layers:
        yield count_lies(folder, said, layers)
    for key in PER_LAYER_LISTS:
        if raw.get(key) is not None and len(raw[key]) != layers:
            yield (
                f"{folder / 'config.json'}: {key} has {len(raw[key])} entries, but the weights have "
                f"{layers} layers; cut the model again with `python -m prune`, or give one entry per layer"
            )


def count_lies(folder: Path, said: Any, stored: int) -> str:
    """The fault of a number of layers that differs from the stored one."""
    too_many = isinstance(said, int) and said > stored
    consequence = "the others would be initialised at random" if too_many else "stored layers would be ignored"
    return (
        f"{folder / 'config.json'}: num_hidden_layers={said}, but the weights have {stored} layers "
        f"({consequence}); set it to {stored}, with every per-layer list, or cut the model again with "
        "`python -m prune` (`python -m prune.inspect DIR fix=OUT` writes a copy with the right number)"
    )


def _rope_faults(file: Path, raw: Mapping[str, Any]) -> Iterator[str]:
    known = {"default", *ROPE_INIT_FUNCTIONS}
    for key in ("rope_scaling", "rope_parameters"):
        section = raw.get(key) or {}
        if not isinstance(section, dict):
            continue
        for part in (section, *(each for each in section.values() if isinstance(each, dict))):
            kind = part.get("rope_type", part.get("type"))
            if kind is not None and kind not in known:
                yield f"{file}: {key} names the rope type {kind!r}, which transformers lacks; known: {sorted(known)}"


def _stray_faults(folder: Path, raw: Mapping[str, Any], tensors: Tensors) -> Iterator[str]:
    if (folder / "adapter_config.json").is_file():
        yield (
            f"{folder} has an adapter_config.json next to full weights, and transformers would attach that adapter; "
            "remove it, or merge the adapter"
        )
    quantised = sorted(
        name for name, tensor in tensors.items() if name.endswith("weight") and tensor.dtype in QUANTISED
    )
    if quantised and "quantization_config" not in raw:
        name = quantised[0]
        yield (
            f"{folder}: {len(quantised)} tensors are stored in {tensors[name].dtype} (first {name}), but config.json "
            "has no quantization_config, so they would be read as numbers; restore that section or give the original"
        )


def _effective_config(folder: Path, raw: Mapping[str, Any], layers: int) -> Any:
    """The config with its class's defaults, which older files leave out; for remote code only what the file says. A
    wrong number of layers, or lists of a wrong length, are replaced by the right ones."""
    if "auto_map" in raw:
        return PreTrainedConfig.from_dict({**raw, "num_hidden_layers": layers})
    if next(_count_faults(folder, raw, layers), None) is None:
        return AutoConfig.from_pretrained(folder, trust_remote_code=False)
    return _config_of(with_layers(raw, layers))


def with_layers(raw: Mapping[str, Any], layers: int) -> dict[str, Any]:
    """`raw` for so many layers, without lists of another length (the config's class makes its own)."""
    lists = {key for key in PER_LAYER_LISTS if raw.get(key) is not None and len(raw[key]) != layers}
    return {key: value for key, value in raw.items() if key not in lists} | {"num_hidden_layers": layers}


def _config_of(raw: Mapping[str, Any]) -> Any:
    return CONFIG_MAPPING[raw["model_type"]].from_dict(dict(raw))


def _tie_faults(folder: Path, tied: bool, tensors: Tensors) -> Iterator[str]:
    if not tied and HEAD not in tensors:
        yield (
            f"{folder / 'config.json'}: tie_word_embeddings=false, but there is no {HEAD} (it would be "
            "initialised at random); set tie_word_embeddings=true or restore the head"
        )
    if tied and HEAD in tensors and not _same_samples(folder, tensors[HEAD], tensors.get(EMBEDDING)):
        yield (
            f"{folder / 'config.json'}: tie_word_embeddings=true, but {HEAD} and {EMBEDDING} differ; "
            "set tie_word_embeddings=false or remove the head"
        )


def _same_samples(folder: Path, head: Tensor, embedding: Tensor | None) -> bool:
    """Whether both tensors, [vocabulary, hidden], are equal in shape and in 64 evenly spaced rows."""
    if embedding is None or head.shape != embedding.shape:
        return False
    # a sample suffices: those of a large model are gigabytes, and two that were trained separately differ in every row
    rows = range(0, head.shape[0], max(1, head.shape[0] // 64))
    with safe_open(folder / head.file, framework="pt") as a, safe_open(folder / embedding.file, framework="pt") as b:
        left, right = a.get_slice(HEAD), b.get_slice(EMBEDDING)
        return all(torch.equal(left[i : i + 1], right[i : i + 1]) for i in rows)


def _name_and_shape_faults(folder: Path, config: Any, tensors: Tensors, tied: bool) -> Iterator[str]:
    """Tensors that the model needs but the files lack, that the model does not have, or that have another shape.

    Not checked if the files may have other names or shapes than the model: weights that are converted on loading,
    quantised weights, and models built by remote code.
    """
    if is_converted(config) or hasattr(config, "quantization_config") or hasattr(config, "auto_map"):
        return
    try:
        needed = _needed_shapes(config)
    except BUILD_ERRORS as error:
        yield f"{folder / 'config.json'}: no model can be built from it: {_first_line(error)}"
        return
    missing = needed.keys() - tensors.keys() - ({HEAD} if tied or HEAD not in tensors else set())
    unknown = {name for name in tensors.keys() - needed.keys() if not name.endswith(DERIVED)}
    if unknown and (what := _in_place_of(unknown, missing)):
        yield f"{folder}: {what}"
        return
    if missing:
        yield (
            f"{folder}: the weights lack {min(missing)}{_more(missing)} (it would be initialised at random); "
            "copy the checkpoint again or cut it again"
        )
    if unknown:
        name = min(unknown)
        yield (
            f"{folder}: {tensors[name].file} has {name}{_more(unknown)}, which a {config.model_type} model does not "
            "have; save the model again"
        )
    if misshapen := {name for name in needed.keys() & tensors.keys() if needed[name] != tensors[name].shape}:
        yield f"{folder}: {_misshapen(misshapen, needed, tensors)}"


def is_converted(config: Any) -> bool:
    """Whether transformers renames or joins tensors of this family when it loads them, as those of experts."""
    return bool(get_checkpoint_conversion_mapping(config.model_type))


def _more(names: set[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""


def _in_place_of(unknown: set[str], missing: set[str]) -> str:
    """What the folder has in place of whole matrices: an unmerged adapter, or factors; "" for neither."""
    adapters = {name for name in unknown if ".lora_" in name}
    if adapters:
        return (
            f"the weights hold an unmerged adapter ({min(adapters)}{_more(adapters)}); merge it "
            "(`merge_and_unload`) and save the model"
        )
    modules = {name.rpartition(".")[0] for name in missing}
    factors = {name for name in unknown if any(name.startswith(f"{module}.") for module in modules)}
    if not factors:
        return ""
    return (
        f"the weights hold factors in place of whole matrices ({min(factors)}{_more(factors)}); multiply them out "
        "and save plain weights, since plain transformers reads no others"
    )


def _misshapen(names: set[str], needed: Mapping[str, tuple[int, ...]], tensors: Tensors) -> str:
    name = min(names)
    shapes = {tensors[other].shape for other in tensors if LAYER.sub("", other) == LAYER.sub("", name)}
    if len(shapes) > 1:
        listed = ", ".join(str(list(shape)) for shape in sorted(shapes))
        return (
            f"layers differ in width ({LAYER.sub('', name)}: {listed}), and config.json has one width for all; cut to "
            "one width, or pad the narrow ones with zeros to the widest and write that into config.json"
        )
    return (
        f"{name}{_more(names)} has shape {list(tensors[name].shape)}, but config.json requires "
        f"{list(needed[name])}; restore the config.json of this model, or write its sizes into it"
    )


def _needed_shapes(config: Any) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):  # shapes without memory, whatever the size of the model
        model = AutoModelForCausalLM.from_config(config)
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def _first_line(error: Exception) -> str:
    text = " ".join(str(error).split())[:200]
    return f"{type(error).__name__} {text}" if isinstance(error, KeyError) or not text else text
