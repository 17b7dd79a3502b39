"""The safetensors files of a checkpoint folder, by their headers alone: names, shapes and dtypes, no weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from recipes.errors import UserError

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"


@dataclass(frozen=True)
class Tensor:
    """One stored tensor, as its file's header describes it."""

    file: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def elements(self) -> int:
        return prod(self.shape)


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """Every tensor that transformers would load from `folder`, by name.

    Raises UserError for missing safetensors, a damaged file, a stale or missing shard, and an index that contradicts
    the shards.
    """
    names = {path.name for path in folder.glob("model*.safetensors")}
    if (folder / INDEX).is_file():
        return _read_shards(folder, names)
    if not names:
        raise UserError(f"{folder}: no {SINGLE} and no {INDEX}; {_what_is_there(folder)}")
    if names != {SINGLE}:
        raise UserError(
            f"{folder}: {min(names - {SINGLE})} is not listed in any {INDEX}; remove it or restore the index"
        )
    return read_file(folder / SINGLE)


def _what_is_there(folder: Path) -> str:
    """What a folder has in place of readable weights, and what to do."""
    files = sorted(path.name for path in folder.iterdir())
    found = {suffix: [name for name in files if name.endswith(suffix)] for suffix in (".safetensors", ".gguf")}
    if "adapter_model.safetensors" in files:
        return "it has only an adapter; merge it into its base (`merge_and_unload`) and save the model"
    if found[".safetensors"]:
        name = found[".safetensors"][0]
        return f"{name} is a name that transformers does not read; rename it to {SINGLE}, or save the model again"
    if found[".gguf"]:
        return f"{found['.gguf'][0]} is a llama.cpp file; give the model that it was made from"
    if "zero_to_fp32.py" in files or any(name.startswith("global_step") for name in files):
        return "it is a sharded DeepSpeed checkpoint; gather it with its zero_to_fp32.py, as safetensors"
    if any(name.endswith((".bin", ".pt", ".pth")) for name in files):
        return "pickled weights are not read, save the model as safetensors"
    return "there are no weights; copy the checkpoint again"


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a checkpoint folder. UserError if it is missing or damaged; an adapter is reported as one."""
    if not (folder / "config.json").exists() and (folder / "adapter_config.json").exists():
        raise UserError(
            f"{folder} has only an adapter, not a model; `python -m eval model=` takes it as it is, everything "
            "else needs it merged into its base (`python -m train.export`, or PEFT's `merge_and_unload`)"
        )
    return read_json(folder / "config.json")


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in `path`. UserError if it is missing or damaged."""
    try:
        value = json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(f"{path} is missing; copy it from the checkpoint or save the model again") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); save the model again") from None
    if not isinstance(value, dict):
        raise UserError(f"{path} is not a JSON object; save the model again")
    return value


def _read_shards(folder: Path, present: set[str]) -> dict[str, Tensor]:
    weight_map = read_json(folder / INDEX).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise UserError(f"{folder / INDEX} has no weight_map; save the model again")
    listed = set(weight_map.values())
    if missing := listed - present:
        raise UserError(f"{folder}: {INDEX} lists {min(missing)}, which is missing; copy it again")
    if stale := present - listed:
        raise UserError(
            f"{folder}: {min(stale)} is a stale file that {INDEX} does not list; "
            "remove it (or the index, if the file is right)"
        )
    tensors = {name: tensor for shard in sorted(listed) for name, tensor in read_file(folder / shard).items()}
    _check_index(folder, weight_map, tensors)
    return tensors


def _check_index(folder: Path, weight_map: Mapping[str, str], tensors: Mapping[str, Tensor]) -> None:
    """UserError if the index and the shards name different tensors, or different shards for the same tensor."""
    fault = f"{folder}: {INDEX} contradicts the shards"
    if unstored := weight_map.keys() - tensors.keys():
        raise UserError(f"{fault}: {min(unstored)} is not in any shard; save the model again")
    if unlisted := tensors.keys() - weight_map.keys():
        name = min(unlisted)
        raise UserError(f"{fault}: {name} in {tensors[name].file} is not listed; save the model again")
    if moved := [name for name, tensor in tensors.items() if weight_map[name] != tensor.file]:
        name = moved[0]
        raise UserError(
            f"{folder}: {INDEX} says {name} is in {weight_map[name]}, but it is in {tensors[name].file}; "
            "save the model again"
        )


def read_file(path: Path) -> dict[str, Tensor]:
    """Every tensor of one safetensors file, by name. UserError if it is truncated or damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
            return {key: Tensor(path.name, tuple(part.get_shape()), part.get_dtype()) for key, part in slices.items()}
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} cannot be read ({error}): truncated or damaged; copy it again") from None
