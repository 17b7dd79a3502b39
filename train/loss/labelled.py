"""The loss of the labelled positions alone, a tile of logits at a time.

Prompts and padding need no logits, and those of a whole batch are the largest thing in memory: tokens x vocabulary.
So only positions with a label pass the output layer, some rows at a time, and the gradient is taken while a row's
logits are there: it is (softmax - one-hot), and only the factor in front of the sum comes later. On GPUs TRL's Triton
kernels do as much; on a CPU TRL takes every position and recomputes every logit for the backward pass.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.utils import ModelOutput
from trl.trainer.utils import maybe_gather_lm_head_ctx

from data_prep.tokens.tokenize import IGNORED

TILE_ELEMENTS = 2**23
"""logits at a time: 32 MiB in float32, which the caches of a CPU partly hold"""
SCALED = ("final_logit_softcapping", "logit_scale", "output_multiplier", "lm_head_multiplier", "logits_scaling")
"""what configs call a change of the logits after the output layer"""


@dataclass
class LabelledLoss(ModelOutput):
    """loss: the negative log-likelihood summed over labelled positions (nats); labelled, correct: how many there are,
    and for how many the label is the likeliest token. All are scalars."""

    loss: torch.Tensor | None = None
    labelled: torch.Tensor | None = None
    correct: torch.Tensor | None = None


class SummedLoss(torch.autograd.Function):
    """hidden [positions, hidden], weight [vocabulary, hidden], targets [positions] to the summed negative
    log-likelihood and the number of targets that are the likeliest token."""

    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        of_hidden, of_weight = (
            torch.zeros_like(each) if needed else None
            for each, needed in zip((hidden, weight), ctx.needs_input_grad, strict=False)
        )
        loss, correct = hidden.new_zeros(()), targets.new_zeros(())
        rows = max(1, TILE_ELEMENTS // weight.shape[0])
        for start in range(0, len(hidden), rows):
            states, wanted = hidden[start : start + rows], targets[start : start + rows]
            tile = states @ weight.T
            largest, likeliest = tile.max(-1, keepdim=True)
            correct += (likeliest[:, 0] == wanted).sum()
            logits = tile.gather(-1, wanted[:, None])
            sums = tile.sub_(largest).exp_().sum(-1, keepdim=True)
            loss += (largest + sums.log() - logits).sum()
            if of_hidden is None and of_weight is None:
                continue
            gradient = tile.div_(sums)
            gradient[torch.arange(len(wanted)), wanted] -= 1
            if of_hidden is not None:
                torch.mm(gradient, weight, out=of_hidden[start : start + rows])
            if of_weight is not None:
                of_weight.addmm_(gradient.T, states)
        ctx.save_for_backward(of_hidden, of_weight)
        ctx.mark_non_differentiable(correct)
        return loss, correct

    @staticmethod
    def backward(ctx: Any, factor: torch.Tensor, _: Any) -> tuple[torch.Tensor | None, torch.Tensor | None, None]:
        of_hidden, of_weight = ctx.saved_tensors
        return (
            None if of_hidden is None else of_hidden.mul_(factor),
            None if of_weight is None else of_weight.mul_(factor),
            None,
        )


def can_take_labelled(model: PreTrainedModel, device: torch.device) -> bool:
    """Whether the loss of `model` is that of its plain linear output layer, in full precision on a CPU.

    device: where it trains; DeepSpeed moves the weights there later than this is asked.
    """
    head, config = model.get_output_embeddings(), model.config.get_text_config()
    return (
        type(head) is torch.nn.Linear
        and head.bias is None
        and device.type == "cpu"
        and head.weight.dtype in (torch.float32, torch.float64)
        and all(getattr(config, name, None) in (None, 1.0) for name in SCALED)
        and not getattr(config, "output_router_logits", False)
    )


def take_labelled(model: PreTrainedModel) -> None:
    """From now on `model(..., labels=..., labelled_loss=True)` gives a LabelledLoss; other calls are as before."""
    before = model.forward

    @functools.wraps(type(model).forward)  # `generate` looks at the signature
    def forward(*args: Any, labelled_loss: bool = False, **kwargs: Any) -> Any:
        if not labelled_loss:
            return before(*args, **kwargs)
        labels = kwargs.pop("labels")
        hidden = model.base_model(*args, **kwargs).last_hidden_state
        return labelled_loss_of(model, hidden, labels)

    model.forward = forward


def labelled_loss_of(model: PreTrainedModel, hidden: torch.Tensor, labels: torch.Tensor) -> LabelledLoss:
    """hidden: [batch, tokens, hidden]; labels: [batch, tokens], each predicted by the position before it."""
    targets = labels[:, 1:]
    chosen = targets != IGNORED
    weight = model.get_output_embeddings().weight
    with maybe_gather_lm_head_ctx(weight):
        loss, correct = SummedLoss.apply(hidden[:, :-1][chosen], weight, targets[chosen])
    return LabelledLoss(loss=loss, labelled=chosen.sum(), correct=correct)
