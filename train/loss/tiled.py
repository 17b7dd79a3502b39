"""The loss for float32 on CPUs: one tile of logits at a time, each logit computed once.

The logits of a batch, labelled positions x vocabulary, would be the largest tensor in memory. They are computed a few
rows at a time, and so is the gradient, (softmax - one-hot); only the factor of the sum is known later. TRL's kernels
(`train.loss.fused`) keep less and compute every logit twice, which suits a GPU.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import PreTrainedModel
from trl.trainer.utils import maybe_gather_lm_head_ctx

from train.loss.base import Metrics, NegativeLogLikelihood
from train.loss.head import head_of

TILE_ELEMENTS = 2**23
"""logits per tile: 32 MiB in float32, which partly fit a CPU's caches"""


class TiledLoss(NegativeLogLikelihood):
    """For a plain linear head in full precision (`is_plain`)."""

    def summed(
        self, model: PreTrainedModel, hidden: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, Metrics]:
        weight = model.get_output_embeddings().weight
        with maybe_gather_lm_head_ctx(weight):
            loss, correct = TiledLogLikelihood.apply(hidden, weight, targets)
        return loss, {"labelled": correct.new_full((), len(targets)), "mean_token_accuracy": correct}


def is_plain(model: PreTrainedModel, device: torch.device) -> bool:
    """Whether `model`'s output layer is a plain linear layer in float32 on a CPU.

    device: where it trains; DeepSpeed moves the weights there only after this call.
    """
    head = head_of(model)
    exact = head.weight.dtype in (torch.float32, torch.float64)
    return head.bias is None and head.softcap is None and head.scale == 1.0 and device.type == "cpu" and exact


class TiledLogLikelihood(torch.autograd.Function):
    """From hidden [positions, hidden], weight [vocabulary, hidden] and targets [positions]: the summed negative
    log-likelihood, and the number of targets that are the most likely token."""

    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        of_hidden, of_weight = (
            torch.zeros_like(tensor) if needed else None
            for tensor, needed in zip((hidden, weight), ctx.needs_input_grad, strict=False)
        )
        loss, correct = hidden.new_zeros(()), targets.new_zeros(())
        rows = max(1, TILE_ELEMENTS // weight.shape[0])
        for start in range(0, len(hidden), rows):
            states, labels = hidden[start : start + rows], targets[start : start + rows]
            tile = states @ weight.T  # [rows, vocabulary], the only logits in memory
            largest, likeliest = tile.max(-1, keepdim=True)
            correct += (likeliest[:, 0] == labels).sum()
            logits = tile.gather(-1, labels[:, None])  # taken before the tile is overwritten in place
            sums = tile.sub_(largest).exp_().sum(-1, keepdim=True)
            loss += (largest + sums.log() - logits).sum()
            if of_hidden is None and of_weight is None:
                continue
            # softmax - one-hot, in the tile's memory: its logits are no longer needed
            gradient = tile.div_(sums)
            gradient[torch.arange(len(labels)), labels] -= 1
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
