"""Checks of a checkpoint: config against weights, plausible numbers, a vocabulary that covers the tokenizer.

`check_weights` reads config.json and the headers of the safetensors files; `check_values` reads every weight once;
`text_faults` reads tokenizer and stop tokens. They are here because every model that is read is checked by them: the
unpruned one, the pruned one, and the one that is swept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from data_prep.contradictions import HEAD, Tensors, contradictions, is_converted, is_tied, stored_layers
from data_prep.fingerprint import fingerprint, local_folder
from data_prep.layer_names import uneven_layers
from data_prep.tokenizer_faults import generation_faults, own_tokenizer, stop_faults, template_faults, vocabulary_faults
from data_prep.weight_files import read_config, read_tensors
from data_prep.weight_values import Values, read_values, value_faults
from recipes.errors import UserError


@dataclass(frozen=True)
class WeightFacts:
    """Facts of a sound folder."""

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
    """UserError, one line per fault, if the checkpoint `model` (a folder, or a Hub id in the local cache) is not sound,
    or has no row for a token of `tokenizer` (None: of its own); files that are not on this machine are not checked."""
    folder, known = local_folder(model), fingerprint(model)
    if folder is None or not known:  # only the config may be here, which is enough for a dry run
        return
    if faults := [*weight_faults(folder, known), *text_faults(folder, tokenizer)]:
        raise UserError("\n".join(faults))


def weight_faults(folder: Path, known: str = "") -> list[str]:
    """Everything that is wrong with config and weights, one line each. known: the fingerprint; weights that were read
    before under it are not read again."""
    faults = _said(lambda: check_weights(folder))
    if faults and _said(lambda: read_tensors(folder)):
        return faults
    return [*faults, *_said(lambda: check_values(folder, known))]


def _said(check: Callable[[], object]) -> list[str]:
    """The lines of the UserError that a check raises."""
    try:
        check()
    except UserError as mistake:
        return str(mistake).splitlines()
    return []


def text_faults(folder: Path, tokenizer: PreTrainedTokenizerBase | None = None) -> list[str]:
    """What is wrong with vocabulary and stop tokens; also with the folder's own tokenizer and template, unless another
    `tokenizer` is used with this model."""
    try:
        tensors = read_tensors(folder)
    except UserError:  # reported with the weights
        tensors = {}
    try:
        used = tokenizer or own_tokenizer(folder)
    except UserError as mistake:
        return [*_ends(folder, tensors), str(mistake)]
    faults = _ends(folder, tensors)
    if used is not None:
        faults += vocabulary_faults(folder, tensors, used)
    if used is not None and tokenizer is None:
        faults += template_faults(folder, used)
    return faults


def _ends(folder: Path, tensors: Tensors) -> list[str]:
    """What is wrong with the stop tokens of generation; one line per file is enough."""
    return [*stop_faults(folder, tensors)] or [*generation_faults(folder)]


def check_weights(folder: Path) -> WeightFacts:
    """The facts of a checkpoint folder, by its headers.

    Raises UserError, with one line (file, key and remedy) per contradiction between its config and its weights.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; name a Hugging Face checkpoint folder")
    raw, tensors = read_config(folder), read_tensors(folder)
    layers = stored_layers(folder, tensors)
    faults, config = contradictions(folder, raw, tensors, layers)
    if config is not None and is_converted(config):
        faults += uneven_layers(folder, config, tensors)
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


def check_values(folder: Path, known: str = "") -> None:
    """UserError, naming the tensors, if numbers are not finite, or are zero where they cannot be."""
    if faults := [*value_faults(folder, values_of(folder, known), read_tensors(folder))]:
        raise UserError("\n".join(faults))


def values_of(folder: Path, known: str = "") -> Values:
    """`read_values`, once for the same bytes if their fingerprint is known: a run names one model in several places."""
    return _known_values(folder, known) if known else read_values(folder)


@lru_cache(maxsize=64)
def _known_values(folder: Path, _fingerprint: str) -> Values:
    return read_values(folder)


def _parameters(tensors: Tensors, tied: bool) -> int:
    return sum(tensor.elements for name, tensor in tensors.items() if not (tied and name == HEAD))
