"""Carries out a plan: one `apply_plan` for every method, and one way to write the pruned model to a folder."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from prune.families import check_attends, check_cuttable, cut_values, decoder_layers
from prune.gated import check_width, gated_mlps, narrow
from prune.generation_config import savable
from prune.inspect import check_folder
from prune.merge import check_mixes, merge_layers
from prune.plan import FILE_NAME, PrunePlan, load, save
from recipes.errors import UserError
from runtime.files import new_folder


def apply_plan(model: PreTrainedModel, plan: PrunePlan) -> PreTrainedModel:
    """Merges, removes and narrows layers of `model` in place, as the plan says, and returns it; no other weights are
    changed. (`low_rank.lower_ranks` lowers ranks, since it needs more than the plan.)

    The config, every `layer_idx` (a layer's position in the key/value cache) and the generation config are updated.
    Raises UserError, before anything is changed, if the plan is for another number of layers, the family cannot be cut,
    layers to be merged do not match, or the generation config is broken.
    """
    check_cuttable(model)
    layers = decoder_layers(model)
    if plan.layers != len(layers):
        raise UserError(f"prune plan: it is for a model of {plan.layers} layers, but this one has {len(layers)}")
    check_mixes(layers, plan.mixes)
    if plan.channels is not None:
        check_width(gated_mlps(model), plan.channels)
    generation_config = savable(model.generation_config)
    check_attends(model.config, plan.kept)
    values = cut_values(model.config, plan.kept)
    kept = [layers[i] for i in plan.kept]
    _check_place_does_not_matter(kept, _empty_twin(model, values), model.config.model_type)
    # past this point nothing raises
    merge_layers(layers, plan.mixes)
    if plan.channels is not None:
        narrow([layer.get_submodule("mlp") for layer in kept], plan.channels)
        values["intermediate_size"] = plan.channels.stored_width
    for config in _held_configs(model):
        _set_values(config, values)
    for index, layer in enumerate(kept):
        _set_index(layer, index)
    model.model.layers = nn.ModuleList(kept)
    if hasattr(model.model, "has_sliding_layers"):  # Qwen2 reads it only once, when the model is built
        model.model.has_sliding_layers = "sliding_attention" in values["layer_types"]
    model.generation_config = generation_config
    return model


def save_pruned(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, plan: PrunePlan, folder: Path) -> None:
    """Writes model (safetensors), tokenizer and plan to a temporary folder, checks it and renames it to `folder`.

    Raises UserError if `folder` exists and is not empty (`load_existing` keeps what is there).
    """
    if is_occupied(folder):
        raise UserError(f"{folder} is not empty; name another output folder or remove it")
    with new_folder(folder) as temporary:
        # A head that was untied from the embedding must not be tied again by a reload, which would lose it.
        model.config.tie_word_embeddings = _is_tied(model)
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        save(plan, temporary)
        check_folder(temporary)


def is_occupied(folder: Path) -> bool:
    """Whether there is a file or a non-empty folder at `folder`."""
    return folder.is_file() or (folder.is_dir() and any(folder.iterdir()))


def load_existing(folder: Path) -> PrunePlan:
    """The plan of the sound pruned model in `folder`. Raises UserError if it holds anything else."""
    if not (folder / FILE_NAME).is_file():
        raise UserError(f"{folder} is not empty and holds no pruned model; name another output folder")
    check_folder(folder)
    return load(folder)


def _empty_twin(model: PreTrainedModel, values: Mapping[str, Any]) -> nn.ModuleList:
    """The layers that transformers would build from the model's config with `values`, without weights.

    Raises UserError if the family's config does not accept them.
    """
    config = deepcopy(model.config)
    try:
        _set_values(config, values)
        config.validate()
    except (AttributeError, ValueError, StrictDataclassError) as fault:
        said = " ".join(str(fault).split())[:200]
        raise UserError(
            f"prune: a model of type {config.model_type!r} cannot be cut like this: its config refuses the values of "
            f"{', '.join(values)} that would be left ({said}); keep other layers, or cut another family"
        ) from None
    with torch.device("meta"):
        return decoder_layers(type(model)(config))


def _check_place_does_not_matter(kept: list[nn.Module], built: nn.ModuleList, family: str) -> None:
    """Raises UserError if a layer differs from the one that a reload builds at its new position (its index matters)."""
    for index, (layer, twin) in enumerate(zip(kept, built, strict=True)):
        ours, theirs = _description(layer), _description(twin)
        different = sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key))
        if different:
            raise UserError(
                f"prune: a model of type {family!r} cannot be cut: layer {index} of the pruned model "
                f"would be built with other {', '.join(different[:3])}; its layers depend on their position"
            )


def _description(layer: nn.Module) -> dict[str, Any]:
    """Shapes of a layer's tensors and plain values of its modules, without its index and values that change in use."""
    facts: dict[str, Any] = {name: tuple(tensor.shape) for name, tensor in layer.state_dict().items()}
    for path, module in layer.named_modules():
        for name, value in vars(module).items():
            public = not name.startswith("_") and name not in ("layer_idx", "training", "gradient_checkpointing")
            if public and isinstance(value, (bool, int, float, str)):
                facts[f"{path}.{name}".lstrip(".")] = value
    return facts


def _held_configs(model: PreTrainedModel) -> list[PreTrainedConfig]:
    """Every config object that the model's modules hold (one shared object in most families)."""
    configs = [getattr(module, "config", None) for module in model.modules()]
    return list({id(config): config for config in configs if isinstance(config, PreTrainedConfig)}.values())


def _set_values(config: PreTrainedConfig, values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        setattr(config, key, deepcopy(value))


def _set_index(layer: nn.Module, index: int) -> None:
    for module in layer.modules():
        if hasattr(module, "layer_idx"):
            setattr(module, "layer_idx", index)  # noqa: B010


def _is_tied(model: PreTrainedModel) -> bool:
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    return head is not None and head.weight is embedding.weight
