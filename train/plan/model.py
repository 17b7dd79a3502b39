"""The model of a run without its weights: built from its config, counted, and run once for its shapes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from peft import get_peft_model
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import AttentionInterface, AutoModelForCausalLM, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from trl.kernels.chunked_logprob import TOKEN_CHUNK_SIZE, ChunkedLogProbFunction
from trl.trainer.utils import _CHUNKED_LOGPROB_CHUNK_SIZE

from data_prep.models import DTYPES, load_config
from prune.families import cut_values
from prune.methods.table import method_of
from recipes.errors import UserError
from recipes.prune import PruneSection
from recipes.schema import ModelSection, Recipe
from train.loss.tiled import TiledLogLikelihood
from train.model import peft_config
from train.plan.live_bytes import LiveBytes

ATTENTION = "planned"
PERSISTENT_NUMEL = 100_000
"""stage3_param_persistence_threshold: smaller parameters stay whole under ZeRO-3"""
METRICS = ("log_probs", "entropy", "is_top1")  # what SFTTrainer asks of the head


@dataclass(frozen=True)
class Sizes:
    """Parameters, as counts; shared ones count once. `head` is the output projection, `largest` the largest module's
    own ones, `persistent` those that ZeRO-3 leaves whole, `quantised` those held in 4 bits."""

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
class Batch:
    """One micro batch: rows, tokens a row, whether rows are padded, and whether layers are recomputed backward."""

    rows: int
    tokens: int
    padded: bool
    checkpointing: bool
    reentrant: bool = False


@dataclass(frozen=True)
class Activations:
    """Bytes beside weights and gradients. saved: what the layers keep after a forward pass; backward: the peak from
    there on; layer: what the last layers of a backward pass take; head: the peak of the output projection and the loss
    beside what is saved; head_gradient: the gradient of the projection, which waits for that of a tied embedding."""

    saved: int
    backward: int
    layer: int
    head: int
    head_gradient: int


def planned_config(section: ModelSection, prune: PruneSection | None) -> tuple[Any, Any]:
    """The configs of the unpruned and of the pruned model; nothing of the weights is read.

    Which layers go matters for their number only, so the first ones stay here whatever the method would choose.
    UserError where there is no config on this machine or the layers cannot be removed.
    """
    unpruned = load_config(section.unpruned, section)
    if prune is None:
        return unpruned, load_config(str(section.pruned), section)
    layers = int(unpruned.num_hidden_layers)
    method = method_of(prune)
    method.check(layers)
    pruned = load_config(section.unpruned, section)
    for key, value in cut_values(unpruned, range(layers - method.count)).items():
        setattr(pruned, key, value)
    return unpruned, pruned


class PlannedModel:
    """The pruned model with its adapter: built on the meta device, run on fake tensors (with the kernels of a CPU)."""

    def __init__(self, recipe: Recipe) -> None:
        AttentionInterface.register(ATTENTION, sdpa_attention_forward)
        self.configs = planned_config(recipe.model, recipe.prune)
        self.unpruned, self.base = (_build(config, recipe.model) for config in self.configs)
        adapter = peft_config(recipe.adapter)
        with torch.device("meta"):
            self.model: torch.nn.Module = self.base if adapter is None else get_peft_model(self.base, adapter)
        quantised = _linear_parameters(self.base) if recipe.adapter.method == "qlora" else 0
        self.sizes = replace(_sizes(self.model, self.base, self.unpruned.num_parameters()), quantised=quantised)
        self.known: Activations | None = None
        self.fake = FakeTensorMode()
        with self.fake:
            _fill(self.model)

    def activations(self, batch: Batch, device: str) -> Activations:
        """What one micro batch takes, forward and backward. `device` is cuda or cpu.

        One batch a model: what recomputing changes in it stays, and the answer is kept.
        """
        if self.known is not None:
            return self.known
        with self.fake:
            saved, backward, layer = self._backbone(batch)
            head, gradient = self._head(batch, device)
        self.known = Activations(saved=saved, backward=backward, layer=layer, head=head, head_gradient=gradient)
        return self.known

    def _backbone(self, batch: Batch) -> tuple[int, int, int]:
        """(saved, peak of the backward pass, its peak in the first layer), in bytes, without weights and gradients."""
        AttentionInterface.register(ATTENTION, partial(_attention, _mask(batch)))
        self._prepare(batch)
        ids = torch.ones(batch.rows, batch.tokens, dtype=torch.long)
        live = LiveBytes([ids, *self.model.parameters(), *self.model.buffers()])
        with live, self._without_gradients(live) as peaks:
            hidden = self.base.base_model(input_ids=ids, use_cache=False).last_hidden_state
            saved = live.now
            if not hidden.requires_grad:
                return 0, live.peak, 0
            live.peak = live.now
            hidden.backward(torch.zeros_like(hidden))
        return saved, max([live.peak, *peaks]), live.peak

    def _prepare(self, batch: Batch) -> None:
        """Puts the model into training as SFTTrainer does."""
        self.model.train()
        if batch.checkpointing:
            self.base.activation_checkpointing_enable({"use_reentrant": batch.reentrant})
        if batch.checkpointing and self.model is not self.base:
            self.base.enable_input_require_grads()

    @contextmanager
    def _without_gradients(self, live: LiveBytes) -> Iterator[list[int]]:
        """Lets every gradient go as soon as it is there; the list gets the peak before the first layer's backward."""
        peaks: list[int] = []
        second = {id(parameter) for layer in self.base.model.layers[1:2] for parameter in layer.parameters()}

        def drop(parameter: torch.Tensor) -> None:
            parameter.grad = None
            if id(parameter) in second:
                peaks.append(live.peak)
                live.peak = live.now

        hooks = [
            parameter.register_post_accumulate_grad_hook(drop)
            for parameter in self.model.parameters()
            if parameter.requires_grad
        ]
        try:
            yield peaks
        finally:
            for hook in hooks:
                hook.remove()

    def _head(self, batch: Batch, device: str) -> tuple[int, int]:
        """(peak of projection and loss over its hidden states, forward and backward; the projection's gradient)."""
        weight = self.base.get_output_embeddings().weight
        positions, width = batch.rows * (batch.tokens - 1), weight.shape[1]
        gradient = weight.numel() * weight.element_size() if weight.requires_grad else 0
        if device == "cuda":
            return _fused_head_bytes(weight, positions), gradient
        hidden = torch.empty(positions, width, dtype=weight.dtype, requires_grad=True)
        targets = torch.ones(positions, dtype=torch.long)
        with LiveBytes([hidden, weight, targets]) as live:
            _loss(hidden, weight, targets).backward()
        weight.grad = None
        return live.peak, gradient


def _build(config: Any, section: ModelSection) -> PreTrainedModel:
    """The model without weights. UserError where transformers cannot build it."""
    with torch.device("meta"):
        try:
            model: PreTrainedModel = AutoModelForCausalLM.from_config(
                config,
                dtype=DTYPES[section.dtype],
                attn_implementation=ATTENTION,
                trust_remote_code=section.trust_remote_code,
            )
        except ValueError as fault:
            raise UserError(f"model: cannot be built from its config ({str(fault).splitlines()[0][:200]})") from None
    return model


def _fill(model: torch.nn.Module) -> None:
    """Puts an empty tensor of the same shape and type on the present device in the place of every meta tensor."""
    made: dict[int, torch.Tensor] = {}
    for module in model.modules():
        for held in (module._parameters, module._buffers):
            for name, old in held.items():
                if old is not None:
                    held[name] = made.setdefault(id(old), _empty(old))  # type: ignore[assignment]


def _empty(old: torch.Tensor) -> torch.Tensor:
    new = torch.empty(old.shape, dtype=old.dtype)
    return torch.nn.Parameter(new, requires_grad=old.requires_grad) if isinstance(old, torch.nn.Parameter) else new


def _loss(hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The loss as a run on a CPU takes it: chainmend's own in float32, else TRL's."""
    if weight.dtype == torch.float32:
        loss: torch.Tensor = TiledLogLikelihood.apply(hidden, weight, targets)[0]
        return loss
    log_probs, *_ = ChunkedLogProbFunction.apply(
        hidden, weight, None, targets, 1.0, min(len(weight), _CHUNKED_LOGPROB_CHUNK_SIZE), None, 1.0, METRICS
    )
    return -log_probs.sum()


def _fused_head_bytes(weight: torch.Tensor, positions: int) -> int:
    """TRL's head on a GPU: one tile of logits, and the gradients in float32 beside their cast."""
    size = weight.element_size()
    tile = min(positions, TOKEN_CHUNK_SIZE) * _CHUNKED_LOGPROB_CHUNK_SIZE * size
    gradients = positions * weight.shape[1] * (4 + size)
    return tile + gradients + (weight.numel() * (4 + size) if weight.requires_grad else 0)


def _mask(batch: Batch) -> torch.Tensor | None:
    """What SDPA gets where rows are padded: a boolean square a row."""
    return torch.ones(batch.rows, 1, batch.tokens, batch.tokens, dtype=torch.bool) if batch.padded else None


def _attention(
    mask: torch.Tensor | None,
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """transformers' SDPA with the planned mask; an attention of another name gets none from the model."""
    done: tuple[torch.Tensor, None] = sdpa_attention_forward(module, query, key, value, mask, **more)
    return done


def _linear_parameters(base: PreTrainedModel) -> int:
    """The weights that bitsandbytes would hold in 4 bits: of every linear layer but the head."""
    head = base.get_output_embeddings()
    return sum(
        module.weight.numel() for module in base.modules() if isinstance(module, torch.nn.Linear) and module is not head
    )


def _sizes(model: torch.nn.Module, base: PreTrainedModel, unpruned: int) -> Sizes:
    parameters = list(model.parameters())
    return Sizes(
        unpruned=unpruned,
        total=sum(each.numel() for each in parameters),
        trainable=sum(each.numel() for each in parameters if each.requires_grad),
        largest=max(sum(each.numel() for each in module.parameters(recurse=False)) for module in model.modules()),
        persistent=sum(each.numel() for each in parameters if each.numel() < PERSISTENT_NUMEL),
        head=base.get_output_embeddings().weight.numel(),
        layers=int(base.config.num_hidden_layers),
        tied=base.get_output_embeddings().weight is base.get_input_embeddings().weight,
    )
