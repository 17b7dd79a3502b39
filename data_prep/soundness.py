"""Is a checkpoint what it says? Config against weights, numbers that are finite, a vocabulary that holds the tokenizer.

`check_weights` reads config.json and the headers of the safetensors files; `check_values` reads every weight once. They
stand here since every model that is read is checked by them: the unpruned one, the pruned one, and what is swept.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedTokenizerBase
from transformers.conversion_mapping import get_checkpoint_conversion_mapping

from data_prep.fingerprint import fingerprint, local_folder
from data_prep.weight_files import Tensor, read_json, read_tensors
from recipes.errors import UserError

PER_LAYER_LISTS = ("layer_types", "mlp_layer_types", "no_rope_layers")
"""config lists with one entry per layer"""

LAYER = re.compile(r"^model\.layers\.(\d+)\.")
HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"
DERIVED = ".rotary_emb.inv_freq"
"""stored by old checkpoints, computed by every model"""


@dataclass(frozen=True)
class WeightFacts:
    """What a sound folder holds."""

    folder: Path
    family: str
    layers: int
    parameters: int
    """stored elements; a tied head counts once"""
    dtypes: tuple[str, ...]
    """as in the headers (F32, BF16), the commonest first"""
    tied: bool
    files: int


def check_model(model: str, tokenizer: PreTrainedTokenizerBase | None = None) -> None:
    """UserError where the checkpoint `model` (a folder, or a Hub id in the local cache) contradicts itself, holds a
    number that is not finite, or has no row for a token of `tokenizer`; what is not on this machine is not checked."""
    folder, known = local_folder(model), fingerprint(model)
    if folder is None or not known:  # only the config may be here, which is enough for a dry run
        return
    check_weights(folder)
    if tokenizer is not None:
        check_vocabulary(folder, tokenizer)
    _check_values_once(folder, known)


def check_weights(folder: Path) -> WeightFacts:
    """The facts of a checkpoint folder, by its headers.

    Raises UserError, naming file, key and remedy, where its config contradicts its weights.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; name a Hugging Face checkpoint folder")
    raw = read_json(folder / "config.json")
    tensors = read_tensors(folder)
    layers = _check_layers(folder, raw, tensors)
    config = _effective_config(folder, raw)
    if config.num_hidden_layers != layers:
        raise _count_lies(folder, config.num_hidden_layers, layers)
    tied = bool(getattr(config, "tie_word_embeddings", HEAD not in tensors))
    _check_tied(folder, tied, tensors)
    _check_names_and_shapes(folder, config, tensors, tied)
    dtypes = Counter(tensor.dtype for tensor in tensors.values())
    return WeightFacts(
        folder=folder,
        family=config.model_type,
        layers=layers,
        parameters=_parameters(tensors, tied),
        dtypes=tuple(name for name, _ in dtypes.most_common()),
        tied=tied,
        files=len({tensor.file for tensor in tensors.values()}),
    )


@lru_cache(maxsize=64)
def _check_values_once(folder: Path, _fingerprint: str) -> None:
    """`check_values`, once for the same bytes: a run names one model in several places."""
    check_values(folder)


def check_values(folder: Path) -> None:
    """UserError, naming the tensors, where a weight is NaN or infinite; every file is read once, tensor by tensor."""
    broken = []
    for file in sorted({tensor.file for tensor in read_tensors(folder).values()}):
        with safe_open(folder / file, framework="pt") as weights:
            for name in weights.keys():  # noqa: SIM118 - not a dict
                tensor = weights.get_tensor(name)
                # 8-bit floats cannot be asked themselves; their numbers are exact in float32
                if tensor.is_floating_point() and tensor.element_size() == 1:
                    tensor = tensor.float()
                if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                    broken.append(name)
    if broken:
        raise UserError(
            f"{folder}: {len(broken)} tensors hold numbers that are not finite (NaN or infinity), the first is "
            f"{broken[0]}; copy the checkpoint again or make it again"
        )


def check_vocabulary(folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    """UserError where the tokenizer has a token for which the embedding has no row."""
    embedding = read_tensors(folder).get(EMBEDDING)
    beyond = {} if embedding is None else {t: i for t, i in tokenizer.get_vocab().items() if i >= embedding.shape[0]}
    if embedding is not None and beyond:
        token = min(beyond, key=lambda name: beyond[name])
        raise UserError(
            f"{folder}: the vocabulary has {embedding.shape[0]:,} rows, but {len(beyond)} tokens of the tokenizer lie "
            f"beyond, the first is {token!r} ({beyond[token]}); give the model its own tokenizer or more rows"
        )


def _check_layers(folder: Path, raw: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> int:
    """The number of stored layers. UserError where they have a gap or where the config says another number."""
    stored = sorted({int(match[1]) for name in tensors if (match := LAYER.match(name))})
    if not stored:
        raise UserError(
            f"{folder}: no tensor is named model.layers.N.*; only standard decoder-only checkpoints are "
            "read, give the original model or its export"
        )
    if stored != list(range(len(stored))):
        gap = next(i for i in range(stored[-1]) if i not in stored)
        raise UserError(
            f"{folder}: the weights have layers up to {stored[-1]} but none of layer {gap}; they must be "
            "numbered without gaps, cut the model again with `python -m prune`"
        )
    count = raw.get("num_hidden_layers", len(stored))
    if count != len(stored):
        raise _count_lies(folder, count, len(stored))
    for key in PER_LAYER_LISTS:
        if raw.get(key) is not None and len(raw[key]) != count:
            raise UserError(
                f"{folder / 'config.json'}: {key} has {len(raw[key])} entries, but the weights have "
                f"{count} layers; cut the model again with `python -m prune`, or give one entry per layer"
            )
    return len(stored)


def _count_lies(folder: Path, said: Any, stored: int) -> UserError:
    too_many = isinstance(said, int) and said > stored
    consequence = "the others would be made up at random" if too_many else "stored layers would be ignored"
    return UserError(
        f"{folder / 'config.json'}: num_hidden_layers={said}, but the weights have {stored} layers "
        f"({consequence}); set it to {stored}, with every per-layer list, or cut the model again with "
        "`python -m prune`"
    )


def _effective_config(folder: Path, raw: Mapping[str, Any]) -> Any:
    """The config with its class's defaults (older files leave them out); of remote code only what is written."""
    try:
        if "auto_map" in raw:
            return PreTrainedConfig.from_dict(dict(raw))
        return AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise UserError(f"{folder / 'config.json'}: transformers refuses it: {_first_line(error)}") from None


def _check_tied(folder: Path, tied: bool, tensors: Mapping[str, Tensor]) -> None:
    if not tied and HEAD not in tensors:
        raise UserError(
            f"{folder / 'config.json'}: tie_word_embeddings=false, but there is no {HEAD} (it would be "
            "made up at random); set tie_word_embeddings=true or restore the head"
        )
    if tied and HEAD in tensors and not _same_samples(folder, tensors[HEAD], tensors.get(EMBEDDING)):
        raise UserError(
            f"{folder / 'config.json'}: tie_word_embeddings=true, but {HEAD} and {EMBEDDING} differ; "
            "set tie_word_embeddings=false or remove the head"
        )


def _same_samples(folder: Path, head: Tensor, embedding: Tensor | None) -> bool:
    """Are both tensors, [vocabulary, hidden], equal in shape and in 64 evenly spaced rows?"""
    if embedding is None or head.shape != embedding.shape:
        return False
    # a sample, since head and embedding of a large model are gigabytes, and two trained apart differ in every row
    rows = range(0, head.shape[0], max(1, head.shape[0] // 64))
    with safe_open(folder / head.file, framework="pt") as a, safe_open(folder / embedding.file, framework="pt") as b:
        left, right = a.get_slice(HEAD), b.get_slice(EMBEDDING)
        return all(torch.equal(left[i : i + 1], right[i : i + 1]) for i in rows)


def _check_names_and_shapes(folder: Path, config: Any, tensors: Mapping[str, Tensor], tied: bool) -> None:
    """UserError where the model needs a tensor that the files lack, has none of that name, or has it in another shape.

    Not checked where the files may have other names or shapes than the model: weights that are converted on loading,
    quantised ones, models built by remote code.
    """
    converted = get_checkpoint_conversion_mapping(config.model_type)
    if converted or hasattr(config, "quantization_config") or hasattr(config, "auto_map"):
        return
    needed = _needed_shapes(folder, config)
    if missing := needed.keys() - tensors.keys() - ({HEAD} if tied else set()):
        raise UserError(
            f"{folder}: the weights lack {min(missing)} (it would be made up at random); "
            "copy the checkpoint again or cut it again"
        )
    if unknown := {name for name in tensors.keys() - needed.keys() if not name.endswith(DERIVED)}:
        name = min(unknown)
        raise UserError(
            f"{folder}: {tensors[name].file} has {name}, which a {config.model_type} model does not "
            "have; save the model again"
        )
    if misshapen := {name for name in needed.keys() & tensors.keys() if needed[name] != tensors[name].shape}:
        name = min(misshapen)
        raise UserError(
            f"{folder}: {name} has shape {list(tensors[name].shape)}, but config.json asks for "
            f"{list(needed[name])}; restore the config.json of this model"
        )


def _needed_shapes(folder: Path, config: Any) -> dict[str, tuple[int, ...]]:
    try:
        with torch.device("meta"):  # shapes without memory, whatever the size of the model
            model = AutoModelForCausalLM.from_config(config)
        return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    except (ValueError, RuntimeError, TypeError, ZeroDivisionError) as error:
        raise UserError(f"{folder / 'config.json'}: no model can be built from it: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _parameters(tensors: Mapping[str, Tensor], tied: bool) -> int:
    return sum(tensor.elements for name, tensor in tensors.items() if not (tied and name == HEAD))
