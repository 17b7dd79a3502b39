"""Distillation from stored distributions: the teacher's most likely tokens at each label, and the mass of the rest.

KL(teacher || student) over the cells {each stored token, all other tokens together}. It is a lower bound of the full
divergence (merging cells loses information), and its gradient approaches the full one as the stored mass grows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import PreTrainedModel
from trl.trainer.utils import maybe_gather_lm_head_ctx

from recipes.loss import DistillLoss
from train.loss.base import Batch, Metrics, NegativeLogLikelihood, labelled_positions
from train.loss.distill import nll, summed
from train.loss.head import Head, head_of
from train.loss.positions import TEACHER_IDS, TEACHER_LOGPROBS
from train.loss.tiled import TILE_ELEMENTS


@dataclass(frozen=True)
class StoredDistillation:
    """Like `train.loss.distill.Distillation`, with distributions that the teacher computed before the run."""

    section: DistillLoss
    likelihood: NegativeLogLikelihood | None

    def __call__(self, model: PreTrainedModel, batch: Batch) -> tuple[torch.Tensor, Metrics]:
        hidden, targets = labelled_positions(model, batch)
        divergence = stored_divergence(
            hidden, head_of(model), batch[TEACHER_IDS], batch[TEACHER_LOGPROBS], self.section.temperature
        )
        return summed(self.section, divergence, None, batch, nll(self.likelihood, model, hidden, targets))


def stored_divergence(
    hidden: torch.Tensor, head: Head, ids: torch.Tensor, logprobs: torch.Tensor, temperature: float
) -> torch.Tensor:
    """The divergence at each position, [positions] in nats, with its graph.

    hidden [positions, hidden]; ids [positions, k]; logprobs [positions, k + 1], natural logarithms at `temperature`;
    the last entry is for all other tokens together.
    """
    # dividing a head's scale and cap by the temperature divides its logits by it
    cooled = replace(
        head,
        scale=head.scale / temperature,
        softcap=None if head.softcap is None else head.softcap / temperature,
    )
    with maybe_gather_lm_head_ctx(head.weight, head.bias):
        divergence: torch.Tensor = _Stored.apply(hidden, head.weight, head.bias, ids, logprobs, cooled)
    return divergence


class _Stored(torch.autograd.Function):
    """Tile by tile, in float32. Gradients per position are not kept: the factor of a position is known only in the
    backward pass, which therefore recomputes the tiles."""

    @staticmethod
    def forward(ctx: Any, hidden: Any, weight: Any, bias: Any, ids: Any, logprobs: Any, head: Head) -> Any:
        ctx.save_for_backward(hidden, weight, bias, ids, logprobs)
        ctx.head = head
        found = hidden.new_zeros(len(hidden), dtype=torch.float32)
        for rows in _tiles(len(hidden), weight.shape[0]):
            chosen, taught = ids[rows].long(), logprobs[rows].float()
            tile, _ = _logits(hidden[rows], weight, bias, head)
            own, others, _ = _cells(tile, chosen)
            # 0 * -inf would be NaN if a token, or all others together, have no mass
            gap = torch.cat([own, others], -1).neg().add(taught)
            found[rows] = torch.where(taught.isneginf(), 0.0, taught.exp() * gap).sum(-1)
        return found

    @staticmethod
    def backward(ctx: Any, factors: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        hidden, weight, bias, ids, logprobs = ctx.saved_tensors
        with maybe_gather_lm_head_ctx(weight, bias):  # under ZeRO-3 a weight has its shape only inside
            of_hidden, of_weight, of_bias = (
                torch.zeros_like(tensor, dtype=torch.float32) if tensor is not None and needed else None
                for tensor, needed in zip((hidden, weight, bias), ctx.needs_input_grad, strict=False)
            )
            for rows in _tiles(len(hidden), weight.shape[0]):
                chosen, taught = ids[rows].long(), logprobs[rows].float().exp()
                tile, slope = _logits(hidden[rows], weight, bias, ctx.head)
                own, others, shares = _cells(tile, chosen)
                # other tokens: share · (1 - taught others / own others); stored tokens: share - taught
                gradient = shares * (1 - taught[:, -1:] / others.exp().clamp(min=1e-30))
                gradient.scatter_(-1, chosen, own.exp() - taught[:, :-1])
                gradient = gradient * factors[rows, None].float() * slope
                if of_hidden is not None:
                    of_hidden[rows] = gradient.to(weight.dtype) @ weight
                if of_weight is not None:
                    of_weight += gradient.T @ hidden[rows].float()
                if of_bias is not None:
                    of_bias += gradient.sum(0)
        as_it_came = [
            None if found is None else found.to(tensor.dtype)
            for found, tensor in zip((of_hidden, of_weight, of_bias), (hidden, weight, bias), strict=True)
        ]
        return (*as_it_came, None, None, None)


def _tiles(positions: int, vocabulary: int) -> list[slice]:
    rows = max(1, TILE_ELEMENTS // vocabulary)
    return [slice(start, min(start + rows, positions)) for start in range(0, positions, rows)]


def _logits(
    hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, head: Head
) -> tuple[torch.Tensor, torch.Tensor | float]:
    """Logits [rows, vocabulary] in float32, and the derivative of each with respect to the linear layer's output."""
    projected = (hidden @ weight.T if bias is None else torch.addmm(bias, hidden, weight.T)).float() * head.scale
    if head.softcap is None:
        return projected, head.scale
    bent = torch.tanh(projected / head.softcap)
    return head.softcap * bent, head.scale * (1 - bent * bent)


def _cells(tile: torch.Tensor, chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Log-probabilities of the chosen tokens [rows, k] and of all others together [rows, 1]; softmax shares [rows,
    vocabulary]."""
    logs = tile.log_softmax(-1)
    own = logs.gather(-1, chosen)
    # summed without the chosen ones: 1 - their sum would be rounding error if they hold nearly all mass
    others = logs.scatter(-1, chosen, float("-inf")).logsumexp(-1, keepdim=True)
    return own, others, logs.exp()
