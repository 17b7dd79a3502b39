"""Logit distillation: the divergence between the model in training and a frozen teacher at every labelled token.

TRL's kernel computes both models' logits tile by tile from their hidden states, in the forward and the backward pass,
so the full logits never exist. Packing, padding and token selection are one weight vector over the labelled positions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel
from trl.kernels.chunked_divergence import ChunkedDivergenceFunction

from recipes.loss import DistillLoss
from train.loss.base import Batch, Metrics, NegativeLogLikelihood, labelled_positions
from train.loss.head import head_of
from train.loss.positions import TOKEN_WEIGHTS
from train.loss.teacher import Teacher

BETA: Mapping[str, float] = {"forward_kl": 0.0, "jsd": 0.5, "reverse_kl": 1.0}


def divergences(
    student: PreTrainedModel,
    student_hidden: torch.Tensor,
    teacher: PreTrainedModel,
    teacher_hidden: torch.Tensor,
    beta: float,
    temperature: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """From the hidden states [positions, hidden] of both: the divergence at each position, with its graph, and the
    student's entropy, both [positions] in nats at `temperature`. beta: 0 is KL(teacher || student), 1 is KL(student ||
    teacher), values between are the generalised Jensen-Shannon divergence."""
    own, other = head_of(student), head_of(teacher)
    divergence, entropy = ChunkedDivergenceFunction.apply(
        student_hidden,
        own.weight,
        own.bias,
        teacher_hidden,
        other.weight,
        other.bias,
        beta,
        temperature,
        own.scale,
        own.softcap,
        other.scale,
        other.softcap,
    )
    return divergence, entropy


@dataclass(frozen=True)
class Distillation:
    """weight x temperature² x divergence, with token weights, plus nll_weight x negative log-likelihood.

    likelihood: computes the latter; None if its weight is 0.
    """

    section: DistillLoss
    teacher: Teacher
    likelihood: NegativeLogLikelihood | None

    def __call__(self, model: PreTrainedModel, batch: Batch) -> tuple[torch.Tensor, Metrics]:
        # The teacher runs first: its activations are freed before the student's, which must be kept, are computed.
        taught = self.teacher.hidden(batch)
        hidden, targets = labelled_positions(model, batch)
        section = self.section
        divergence, entropy = divergences(
            model, hidden, self.teacher.model, taught, BETA[section.divergence], section.temperature
        )
        return summed(section, divergence, entropy, batch, nll(self.likelihood, model, hidden, targets))


Likelihood = tuple[torch.Tensor, Metrics] | None
"""the negative log-likelihood in addition to a divergence, if its weight is not 0"""


def nll(
    likelihood: NegativeLogLikelihood | None, model: PreTrainedModel, hidden: torch.Tensor, targets: torch.Tensor
) -> Likelihood:
    return None if likelihood is None else likelihood.summed(model, hidden, targets)


def summed(
    section: DistillLoss, divergence: torch.Tensor, entropy: torch.Tensor | None, batch: Batch, likelihood: Likelihood
) -> tuple[torch.Tensor, Metrics]:
    """The loss and its metrics from the divergence at each position [positions] and the summed likelihood."""
    weights = batch.get(TOKEN_WEIGHTS)
    weighted = divergence if weights is None else divergence * weights
    loss = section.weight * section.temperature**2 * weighted.sum()
    metrics = {
        "labelled": torch.full((), len(divergence), dtype=torch.int64, device=divergence.device),
        "divergence": divergence.detach().sum(),
    }
    if entropy is not None:
        metrics["entropy"] = entropy.detach().sum()
    if likelihood is not None:
        negative, counted = likelihood
        loss = loss + section.nll_weight * negative
        metrics |= {**counted, "nll": negative.detach()}
    return loss, metrics
