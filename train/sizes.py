"""Parameter counts of a run's models, on the meta device: from configs, without weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from peft import get_peft_model
from transformers import AutoModelForCausalLM, PreTrainedModel

from data_prep.models import DTYPES, load_config
from prune.further import cut_model
from prune.methods.table import check_fits, expected_values, method_of
from recipes.errors import UserError
from recipes.prune import PruneSection
from recipes.schema import AdapterSection, LoraAdapter, ModelSection
from train.model import peft_config
from train.targets import check_targets

PERSISTENT_NUMEL = 100_000
"""stage3_param_persistence_threshold: ZeRO-3 does not shard smaller parameters"""


@dataclass(frozen=True)
class Sizes:
    """Parameter counts; shared parameters count once. `head`: of the output projection; `largest`: of the largest
    module itself; `persistent`: not sharded by ZeRO-3; `quantised`: in 4 bits."""

    unpruned: int
    total: int
    trainable: int
    largest: int
    persistent: int
    head: int
    layers: int
    tied: bool
    quantised: int = 0


@dataclass(frozen=True)
class Skeleton:
    """The models of a run without storage: `unpruned`, `pruned`, and `trained`, the pruned one with its adapter."""

    unpruned: PreTrainedModel
    pruned: PreTrainedModel
    trained: torch.nn.Module
    sizes: Sizes


def skeleton(section: ModelSection, prune: PruneSection | None, adapter: AdapterSection) -> Skeleton:
    """UserError if a config is not on this machine, if transformers cannot build it, or if it lacks layers or an
    adapter's targets."""
    unpruned, pruned = (_build(config, section) for config in _configs(section, prune))
    quantised = linear_parameters(pruned) if adapter.method == "qlora" else 0  # before the adapter adds its own
    trained = _with_adapter(pruned, adapter)
    return Skeleton(unpruned, pruned, trained, _count(unpruned, pruned, trained, quantised))


def parameter_counts(section: ModelSection, pruned: str) -> dict[str, int] | None:
    """Parameters of the unpruned model and of the pruned one at `pruned`; None if the models have custom code."""
    if section.trust_remote_code:  # it may need real weights
        return None
    paths = {"unpruned": section.unpruned, "pruned": pruned}
    return {name: _build(load_config(path, section), section).num_parameters() for name, path in paths.items()}


def _with_adapter(pruned: PreTrainedModel, adapter: AdapterSection) -> torch.nn.Module:
    lora = peft_config(adapter)
    if lora is None or not isinstance(adapter, LoraAdapter):
        return pruned
    check_targets(pruned, adapter.targets)
    with torch.device("meta"):
        try:
            return get_peft_model(pruned, lora)
        except ValueError as fault:
            raise UserError(f"adapter: does not fit this model ({str(fault).splitlines()[0][:200]})") from None


def _configs(section: ModelSection, prune: PruneSection | None) -> tuple[Any, Any]:
    """The configs of the unpruned and of the pruned model; if only a measurement decides its size, the largest."""
    unpruned = load_config(section.unpruned, section)
    if prune is None:
        return unpruned, load_config(section.pruned or section.unpruned, section)
    uncut, pruned = (load_config(cut_model(prune, section), section) for _ in range(2))
    method = method_of(prune)
    check_fits(method, uncut)
    values = expected_values(method, uncut)
    try:
        for key, value in values.items():
            setattr(pruned, key, value)
    except (AttributeError, ValueError) as fault:  # a value that the config computes from others
        raise UserError(
            f"prune: a model of type {pruned.model_type!r} cannot be pruned: its config refuses {', '.join(values)} "
            f"({' '.join(str(fault).split())[:200]}); name a pruned model as model.pruned"
        ) from None
    return unpruned, pruned


def _build(config: Any, section: ModelSection) -> PreTrainedModel:
    """The model without weights. Its attention is eager, which every family supports; the counts do not depend on
    it."""
    with torch.device("meta"):
        try:
            model: PreTrainedModel = AutoModelForCausalLM.from_config(
                config,
                dtype=DTYPES[section.dtype],
                attn_implementation="eager",
                trust_remote_code=section.trust_remote_code,
            )
        except ValueError as fault:
            raise UserError(f"model: cannot be built from its config ({str(fault).splitlines()[0][:200]})") from None
    return model


def linear_parameters(model: PreTrainedModel) -> int:
    """The number of weights that bitsandbytes would quantise to 4 bits: of every linear layer except the head."""
    head = model.get_output_embeddings()
    return sum(
        module.weight.numel()
        for module in model.modules()
        if isinstance(module, torch.nn.Linear) and module is not head
    )


def _count(unpruned: PreTrainedModel, pruned: PreTrainedModel, trained: torch.nn.Module, quantised: int) -> Sizes:
    head = pruned.get_output_embeddings().weight
    counts = [(parameter.numel(), parameter.requires_grad) for parameter in trained.parameters()]  # shared ones once
    modules = ([weights.numel() for weights in module.parameters(recurse=False)] for module in trained.modules())
    return Sizes(
        unpruned=unpruned.num_parameters(),
        total=sum(numel for numel, _ in counts),
        trainable=sum(numel for numel, trains in counts if trains),
        largest=max(map(sum, modules)),
        persistent=sum(numel for numel, _ in counts if numel < PERSISTENT_NUMEL),
        head=head.numel(),
        layers=int(pruned.config.num_hidden_layers),
        tied=head is pruned.get_input_embeddings().weight,
        quantised=quantised,
    )
