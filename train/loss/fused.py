"""The loss on TRL's kernels: tiles over tokens and vocabulary, in Triton on a GPU and in torch elsewhere.

The full logits never exist, in the forward or the backward pass, in any precision; sums are taken in float32.
"""

from __future__ import annotations

import torch
from transformers import PreTrainedModel
from trl.kernels import ChunkedLogProbFunction
from trl.trainer.utils import maybe_gather_lm_head_ctx

from train.loss.base import Metrics, NegativeLogLikelihood
from train.loss.head import head_of

TEMPERATURE, VOCABULARY_CHUNK = 1.0, 32768
METRICS = ("entropy", "is_top1")
"""outputs of the kernel other than the log-probabilities"""


class FusedLoss(NegativeLogLikelihood):
    """For a linear head with or without bias, scale and soft cap, on any device."""

    def summed(
        self, model: PreTrainedModel, hidden: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, Metrics]:
        head = head_of(model)
        # the kernel enters this context again in its backward pass, where it recomputes the logits
        with maybe_gather_lm_head_ctx(head.weight, head.bias):
            log_probabilities, entropy, _, _, correct = ChunkedLogProbFunction.apply(
                hidden,
                head.weight,
                head.bias,
                targets,
                TEMPERATURE,
                VOCABULARY_CHUNK,
                head.softcap,
                head.scale,
                METRICS,
            )  # each [positions]
        metrics = {
            "labelled": torch.full((), len(targets), dtype=torch.int64, device=correct.device),
            "mean_token_accuracy": correct.sum(),
            "entropy": entropy.detach().sum(),
        }
        return -log_probabilities.sum(), metrics
