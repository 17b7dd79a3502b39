"""Runs a model to measure it: with layers left out or replaced, or its head on chosen tokens only.

The model's own forward functions are used, so masks, rotations, soft caps and scales are those of its family.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.utils import ModelOutput

from recipes.errors import UserError
from runtime.pulse import beat

Forward = Callable[..., Any]


@contextmanager
def measuring(model: PreTrainedModel) -> Iterator[None]:
    """No gradients and no dropout; restores the model's mode afterwards."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)


@contextmanager
def exchanged(modules: Mapping[nn.Module, Forward]) -> Iterator[None]:
    """Replaces the forward function of each module in this context; weights and hooks are untouched."""
    before = {module: vars(module).get("forward") for module in modules}
    try:
        for module, forward in modules.items():
            module.forward = forward
        yield
    finally:
        for module, own in before.items():
            if own is not None:  # a forward that something else had set
                module.forward = own
            else:
                vars(module).pop("forward", None)


def as_given(hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
    """The forward function of a layer that is left out."""
    return hidden_states


def decoder_output(model: PreTrainedModel, batch: Mapping[str, Tensor]) -> ModelOutput:
    """The decoder's output for a batch of `input_ids` and `attention_mask`: after the final norm, before the head.

    Only the decoder runs: logits [rows, longest, vocabulary] would take more memory than everything else.
    """
    inputs = {name: batch[name].to(model.device) for name in ("input_ids", "attention_mask")}
    output: ModelOutput = model.get_decoder()(**inputs, use_cache=False)
    beat(int(batch["attention_mask"].sum()))
    return output


def head_logits(model: PreTrainedModel, output: ModelOutput, hidden: Tensor) -> Tensor:
    """The model's logits [tokens, vocabulary] at chosen final hidden states [tokens, hidden].

    output: the decoder output that they come from. The whole model runs with its decoder replaced by these states,
    since a family's own forward function may change the logits (a soft cap, a scale).
    """
    chosen = copy(output)
    chosen["last_hidden_state"] = hidden[None]
    with exchanged({model.get_decoder(): lambda *_, **__: chosen}):
        logits: Tensor = model(input_ids=hidden.new_zeros((1, len(hidden)), dtype=torch.long), use_cache=False).logits
    return logits[0]


def check_plain(
    layers: nn.ModuleList, model: PreTrainedModel, batch: Mapping[str, Tensor], remedy: str = "prune.method=shortgpt"
) -> None:
    """Raises UserError if a layer returns more than its hidden states (a model's own code may): `as_given` could not
    replace it. remedy: a key and value that work without leaving layers out."""
    kinds: list[type] = []
    hook = layers[0].register_forward_hook(lambda _module, _arguments, output: kinds.append(type(output)))
    try:
        decoder_output(model, batch)
    finally:
        hook.remove()
    if not all(issubclass(kind, Tensor) for kind in kinds):
        raise UserError(
            f"prune: the layers of a model of type {model.config.model_type!r} return more than hidden states, so they "
            f"cannot be left out to measure; use {remedy}"
        )
