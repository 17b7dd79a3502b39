"""Checks that an adapter belongs to its model; PEFT loads it on any model whose layers have the right widths."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path

from data_prep.contradictions import LAYER
from data_prep.fingerprint import fingerprint, local_folder
from data_prep.weight_files import Tensor, read_file, read_json, read_tensors
from data_prep.weight_values import not_finite
from recipes.errors import UserError

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
BASE = "adapter_base.json"
"""key of an exported adapter: the fingerprint of the one model that it belongs to"""
OTHERS = "was made for another model"
PART = re.compile(r"^base_model\.model\.(.+)\.lora_([AB])\.weight$")


def check_fits(adapter: Path, base: str) -> None:
    """Raises UserError if an adapter says that it belongs to other weights, has a part that the model lacks or has in
    another shape, or leaves out layers of the model without saying so. A model that is not on this machine is not
    checked."""
    folder = local_folder(base)
    if folder is None or not (adapter / WEIGHTS).is_file():
        return
    _check_base(adapter, base)
    weights = read_tensors(folder)
    parts = read_file(adapter / WEIGHTS)
    if not parts:
        raise UserError(f"{adapter / WEIGHTS} holds no tensors; name another checkpoint")
    if broken := not_finite(adapter / WEIGHTS):
        raise UserError(
            f"{adapter / WEIGHTS}: {len(broken)} tensors hold numbers that are not finite; the first is {broken[0]}. "
            "Name another checkpoint"
        )
    for name, part in parts.items():
        _check_part(adapter, base, name, part, weights)
    told = json.loads((adapter / CONFIG).read_text(encoding="utf-8"))
    if told.get("layers_to_transform") is None and isinstance(told.get("target_modules"), list):
        _check_layers(adapter, base, parts, weights)


def _check_base(adapter: Path, base: str) -> None:
    if not (adapter / BASE).is_file():
        return  # a run's own checkpoint, or an adapter of another tool
    named, here = read_json(adapter / BASE).get("fingerprint"), fingerprint(base)
    if here and here != named:
        raise UserError(
            f"{adapter} belongs to the model with the fingerprint {named}, but {base} is {here}; name the right "
            "folder with base=DIR"
        )


def _check_part(adapter: Path, base: str, name: str, part: Tensor, weights: dict[str, Tensor]) -> None:
    match = PART.match(name)
    if match is None:
        return  # DoRA magnitudes, experts, saved modules: PEFT itself refuses what does not fit
    weight = weights.get(f"{match[1]}.weight")
    if weight is None:
        raise UserError(f"{adapter} {OTHERS}: it has {match[1]}, which {base} does not have")
    side, of_weight = (part.shape[-1], weight.shape[-1]) if match[2] == "A" else (part.shape[0], weight.shape[0])
    if side != of_weight:
        raise UserError(
            f"{adapter} {OTHERS}: {name} is made for a width of {side}, but {match[1]} of {base} has {of_weight}"
        )


def _check_layers(adapter: Path, base: str, parts: dict[str, Tensor], weights: dict[str, Tensor]) -> None:
    """Raises UserError if a kind of module has an adapter in some layers but not in others that have the module."""
    adapted: defaultdict[str, set[int]] = defaultdict(set)
    for name in parts:
        match = PART.match(name)
        layer = LAYER.match(f"{match[1]}.") if match else None
        if match and layer:
            adapted[match[1][layer.end() :]].add(int(layer[1]))
    for kind, layers in sorted(adapted.items()):
        there = {int(layer[1]) for name in weights if name.endswith(f".{kind}.weight") and (layer := LAYER.match(name))}
        if missing := sorted(there - layers):
            raise UserError(
                f"{adapter} {OTHERS}: it has {kind} in {len(layers)} layers, but {base} has that in {len(there)}; "
                f"layer {missing[0]} has no adapter"
            )
