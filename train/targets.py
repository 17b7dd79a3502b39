"""Checks an adapter's targets: each target of the recipe must match a module, and none may be the head.

PEFT silently ignores targets without a match if others match. An adapter on a tied embedding or on the head would be
refused only by the export, after the whole training.
"""

from __future__ import annotations

import re

import torch
from transformers import PreTrainedModel

from recipes.errors import UserError
from recipes.names import closest

ALL_LINEAR, HEAD = "all-linear", "lm_head"


def check_targets(model: PreTrainedModel, targets: str | list[str]) -> None:
    """UserError if a target matches no module of the model, or the head, or an embedding that is tied to it.

    As in PEFT, a list contains names or suffixes of names; a string is a regular expression for full names.
    """
    if isinstance(targets, str) and targets.lower() == ALL_LINEAR:
        return
    if not targets:
        raise UserError(f"adapter.targets is empty; name modules such as q_proj, or use {ALL_LINEAR}")
    modules = {name: module for name, module in model.named_modules() if name}
    for target in [targets] if isinstance(targets, str) else targets:
        found = [name for name in modules if _names(target, name, isinstance(targets, str))]
        if not found:
            raise UserError(f"adapter.targets: {target!r} names no module of this model; {_hint(target, modules)}")
        for name in found:
            _check_place(model, target, name, modules[name])


def _names(target: str, name: str, is_pattern: bool) -> bool:
    if not is_pattern:
        return name == target or name.endswith(f".{target}")
    try:
        return re.fullmatch(target, name) is not None
    except re.error as fault:
        raise UserError(f"adapter.targets={target}: not a regular expression ({fault}); give a list of names") from None


def _hint(target: str, modules: dict[str, torch.nn.Module]) -> str:
    if target.lower() == ALL_LINEAR:
        return f"use adapter.targets={ALL_LINEAR}, not in a list"
    leaves = sorted(
        {name.rpartition(".")[2] for name, each in modules.items() if isinstance(each, torch.nn.Linear)} - {HEAD}
    )
    near = closest(target, leaves)
    said = f"did you mean {near}? " if near and near != target else ""
    listed = f"a list of names (adapter.targets=[{target}]); " if target in leaves else ""
    return f"{said}{listed}linear modules are {', '.join(leaves)}"


def _check_place(model: PreTrainedModel, target: str, name: str, module: torch.nn.Module) -> None:
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    if module is head:
        raise UserError(
            f"adapter.targets: {target!r} names the head ({name}), which losses and export read directly; leave "
            "it out, or train every parameter with adapter.method=none"
        )
    if module is embedding and head is not None and head.weight is embedding.weight:
        raise UserError(
            f"adapter.targets: {target!r} names the embedding ({name}), which is tied to the head: merging into "
            "one would change the other; leave it out, or train every parameter with adapter.method=none"
        )
