"""Repairs what needs no guess in a copy of a checkpoint: `python -m prune.inspect DIR fix=OUT`.

It repairs numbers and lists of layers, a tie that the weights contradict, the named dtype, and the generation config.
If the unpruned model is known, chat template, stop tokens, windows and the like are copied from it. Weights are never
changed. Anything that would have to be guessed is refused.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import GenerationConfig, PreTrainedTokenizerBase

from data_prep.contradictions import BUILD_ERRORS, PER_LAYER_LISTS, contradictions, stored_layers
from data_prep.tokenizer_faults import (
    CONFIG,
    ENDS,
    GENERATION,
    TOKENIZER,
    own_tokenizer,
    stop_faults,
    template_faults,
)
from data_prep.weight_files import read_config, read_json, read_tensors
from prune.against import stop_differences, template_differences, wanted_values
from prune.generation_config import changes_of, savable
from prune.inspect import faults_of
from prune.plan import FILE_NAME, load
from prune.stored_dtype import commonest, stored_dtypes
from prune.surgery import is_occupied
from recipes.errors import UserError
from runtime.files import new_folder, write_whole

Values = dict[str, Any]


def repair(folder: Path, out: Path, unpruned: Path | None = None) -> list[str]:
    """Writes a sound copy of `folder` to `out`; returns the changes, one line each.

    unpruned: the model that it was pruned from, if known.

    Raises UserError if `out` is not empty, or if something is wrong that cannot be repaired without guessing; `out` is
    then not created.
    """
    if is_occupied(out):
        raise UserError(f"fix={out} is not empty; name a new folder")
    raw = read_config(folder)
    changes = config_changes(folder, raw)
    with new_folder(out) as temporary:
        for path in folder.iterdir():
            copy = shutil.copytree if path.is_dir() else shutil.copy
            copy(path, temporary / path.name)
        lines = _write(temporary, CONFIG, raw, changes)
        if unpruned is not None:
            lines += take_from(unpruned, temporary)
        lines += _repair_generation(temporary)
        _check(temporary, folder, unpruned)
    return lines


def _write(folder: Path, name: str, held: Mapping[str, Any], changes: Values) -> list[str]:
    """Writes a JSON file with some values changed; one line per change."""
    if changes:
        write_whole(folder / name, json.dumps({**held, **changes}, indent=2) + "\n")
    return [f"{name}: {key}={json.dumps(value)} (was {_was(held, key)})" for key, value in changes.items()]


def take_from(unpruned: Path, folder: Path) -> list[str]:
    """Restores what `folder` lost of the unpruned model: values that a cut keeps, chat template, stop tokens."""
    values = {key: want for key, (_, want) in wanted_values(folder, unpruned).items()}
    lines = _write(folder, CONFIG, read_config(folder), values)
    ours, theirs = own_tokenizer(folder), own_tokenizer(unpruned)
    if theirs is not None and ours is None and not (folder / TOKENIZER).is_file():
        theirs.save_pretrained(folder)
        lines.append("tokenizer: the unpruned model's (was missing)")
    elif ours is not None and theirs is not None and ours.get_vocab() == theirs.get_vocab():
        lines += _take_template(folder, unpruned, ours, theirs)
    return [*lines, *_take_stops(unpruned, folder, ours or theirs)]


def _take_template(
    folder: Path, unpruned: Path, ours: PreTrainedTokenizerBase, theirs: PreTrainedTokenizerBase
) -> list[str]:
    """Replaces a broken or missing chat template by the unpruned model's."""
    if not [*template_faults(folder, ours), *template_differences(folder, unpruned)]:
        return []
    ours.chat_template = theirs.chat_template
    ours.save_pretrained(folder)
    return ["chat template: the unpruned model's"]


def _take_stops(unpruned: Path, folder: Path, tokenizer: PreTrainedTokenizerBase | None) -> list[str]:
    """Replaces impossible stop and pad tokens by the unpruned model's."""
    lines = _take_generation(unpruned, folder)
    impossible = [*stop_faults(folder, read_tensors(folder)), *stop_differences(folder, unpruned, tokenizer)]
    for name in (CONFIG, GENERATION) if impossible else ():
        ours, theirs = (read_json(at / name) if (at / name).is_file() else {} for at in (folder, unpruned))
        lines += _write(
            folder, name, ours, {key: theirs[key] for key in ENDS if key in theirs and ours.get(key) != theirs[key]}
        )
    return lines


def _take_generation(unpruned: Path, folder: Path) -> list[str]:
    """Replaces an unreadable generation config by the unpruned model's."""
    try:
        read_json(folder / GENERATION)
    except UserError:
        if (folder / GENERATION).is_file() and (unpruned / GENERATION).is_file():
            shutil.copy(unpruned / GENERATION, folder / GENERATION)
            return [f"{GENERATION}: the unpruned model's (could not be read)"]
    return []


def _check(copy: Path, folder: Path, unpruned: Path | None) -> None:
    """Raises UserError if the copy is not sound, naming the folder that it was made from."""
    if faults := faults_of(copy, unpruned):
        told = "\n".join(faults).replace(str(copy), str(folder))
        raise UserError(f"{told}\nno copy was written: this cannot be repaired without guessing")


def _was(raw: Mapping[str, Any], key: str) -> str:
    return json.dumps(raw[key]) if key in raw else "not there"


def config_changes(folder: Path, raw: Mapping[str, Any]) -> Values:
    """The values of config.json that contradict the weights or the plan, corrected."""
    tensors = read_tensors(folder)
    layers = stored_layers(folder, tensors)
    faults, _ = contradictions(folder, raw, tensors, layers)
    changes: Values = {}
    if raw.get("num_hidden_layers") != layers and any("num_hidden_layers" in fault for fault in faults):
        changes["num_hidden_layers"] = layers
    for key in PER_LAYER_LISTS:
        if raw.get(key) is not None and len(raw[key]) != layers:
            changes[key] = _entries(folder, key, raw[key], layers)
    if any("tie_word_embeddings=true" in fault for fault in faults):
        changes["tie_word_embeddings"] = False
    stored = stored_dtypes(folder)
    named = raw.get("dtype", raw.get("torch_dtype"))
    usual = str(commonest(stored)).removeprefix("torch.") if stored else named
    if named not in (None, usual):
        changes["dtype" if "dtype" in raw else "torch_dtype"] = usual
    return changes


def _entries(folder: Path, key: str, entries: list[Any], layers: int) -> list[Any]:
    """The entries of the remaining layers: by the plan, or if all entries are equal."""
    plan = load(folder) if (folder / FILE_NAME).is_file() else None
    if plan is not None and (plan.layers, len(plan.kept)) == (len(entries), layers):
        return [entries[i] for i in plan.kept]
    if entries and all(entry == entries[0] for entry in entries):
        return [entries[0]] * layers
    raise UserError(
        f"{folder / 'config.json'}: {key} has {len(entries)} entries for {layers} layers, and nothing says which "
        f"are left (no {FILE_NAME} that fits); write the list by hand, or cut the model again with `python -m prune`"
    )


def _repair_generation(folder: Path) -> list[str]:
    """Changes the generation config so that transformers can save it."""
    if not (folder / GENERATION).is_file():
        return []
    try:
        before = GenerationConfig.from_pretrained(folder)
    except BUILD_ERRORS:  # the check of the copy reports what is wrong with it
        return []
    changes = changes_of(before)
    if changes:
        savable(before).save_pretrained(folder)
    return [f"{GENERATION}: {key}={new} (was {old})" for key, (old, new) in changes.items()]
