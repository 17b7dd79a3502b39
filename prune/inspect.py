"""The doctor: does a checkpoint folder's config tell the truth about its weights? `python -m prune.inspect DIR`

Reads config.json, the plan and the headers of the safetensors files; no weights are loaded.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig
from transformers.conversion_mapping import get_checkpoint_conversion_mapping

from prune.families import PER_LAYER_LISTS
from prune.plan import FILE_NAME, PrunePlan, describe_merges, load
from prune.weight_files import Tensor, read_json, read_tensors
from recipes.command import run
from recipes.errors import UserError
from recipes.help import HelpAsked, asks_for_help

LAYER = re.compile(r"^model\.layers\.(\d+)\.")
HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"
DERIVED = ".rotary_emb.inv_freq"
"""stored by old checkpoints, computed by every model"""


@dataclass(frozen=True)
class Facts:
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
    plan: PrunePlan | None
    """None where the folder has no prune plan: an unpruned model or another tool's"""


def check_folder(folder: Path) -> Facts:
    """The facts of a checkpoint folder.

    Raises UserError, naming file, key and remedy, where its config or its plan contradicts its weights.
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
    return Facts(
        folder=folder,
        family=config.model_type,
        layers=layers,
        parameters=_parameters(tensors, tied),
        dtypes=tuple(name for name, _ in dtypes.most_common()),
        tied=tied,
        files=len({tensor.file for tensor in tensors.values()}),
        plan=_checked_plan(folder, layers),
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


def _checked_plan(folder: Path, layers: int) -> PrunePlan | None:
    if not (folder / FILE_NAME).exists():
        return None
    plan = load(folder)
    if len(plan.kept) != layers:
        raise UserError(
            f"{folder / FILE_NAME}: the plan keeps {len(plan.kept)} of {plan.layers} layers, but the "
            f"weights have {layers}; the plan belongs to another model, remove it or cut the model again"
        )
    return plan


def describe_plan(plan: PrunePlan) -> str:
    """The plan in a few lines, with a table of the scores where layers were scored (* marks a removed layer)."""
    lines = [
        f"method     {plan.method}",
        f"unpruned   {plan.unpruned} ({plan.layers} layers)",
        f"removed    {', '.join(map(str, plan.removed))}",
        *([f"merged     {describe_merges(plan.merged)}"] if plan.merged else []),
        f"kept       {len(plan.kept)} layers",
    ]
    if plan.scores:
        lines.append("layer  score")
        lines += [f"{i:5d}  {score:.6f}{' *' if i in plan.removed else ''}" for i, score in enumerate(plan.scores)]
    return "\n".join(lines)


def describe(facts: Facts) -> str:
    """The facts in a few lines."""
    lines = [
        f"folder     {facts.folder}",
        f"family     {facts.family}",
        f"layers     {facts.layers}",
        f"parameters {facts.parameters:,}",
        f"dtype      {', '.join(facts.dtypes)}",
        f"head       {'tied to the embedding' if facts.tied else 'its own weights'}",
        f"files      {facts.files}",
    ]
    return "\n".join([*lines, describe_plan(facts.plan) if facts.plan else "plan       none", "ok"])


def main(arguments: list[str]) -> None:
    """Prints the facts of the one folder named. UserError where it is not sound."""
    if asks_for_help(arguments):
        raise HelpAsked("usage: python -m prune.inspect DIR")
    if len(arguments) != 1 or arguments[0].startswith("-"):
        raise UserError("usage: python -m prune.inspect DIR")
    print(describe(check_folder(Path(arguments[0]))))


if __name__ == "__main__":
    run(main)
