"""Is a checkpoint what it says? Config against weights, numbers that are finite, a vocabulary that holds the tokenizer.

`check_weights` reads config.json and the headers of the safetensors files; `check_values` reads every weight once. They
stand here since every model that is read is checked by them: the unpruned one, the pruned one, and what is swept.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from safetensors import safe_open
from transformers import PreTrainedTokenizerBase

from data_prep.contradictions import EMBEDDING, HEAD, Tensors, contradictions, is_tied, stored_layers
from data_prep.fingerprint import fingerprint, local_folder
from data_prep.weight_files import read_config, read_tensors
from recipes.errors import UserError


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

    Raises UserError, with file, key and remedy, a line for each contradiction between its config and its weights.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; name a Hugging Face checkpoint folder")
    raw, tensors = read_config(folder), read_tensors(folder)
    layers = stored_layers(folder, tensors)
    faults, config = contradictions(folder, raw, tensors, layers)
    if faults:
        raise UserError("\n".join(faults))
    tied = is_tied(config, tensors)
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


def _parameters(tensors: Tensors, tied: bool) -> int:
    return sum(tensor.elements for name, tensor in tensors.items() if not (tied and name == HEAD))
