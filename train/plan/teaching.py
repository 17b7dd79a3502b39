"""The memory of distillation beyond plain training: a second model, its forward pass, and a loss over both heads."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import PreTrainedModel
from trl.kernels.chunked_divergence import TOKEN_CHUNK_SIZE, VOCAB_CHUNK_SIZE

from data_prep.models import DTYPES
from recipes.loss import DistillLoss
from recipes.on_policy import OnPolicySection
from recipes.schema import Recipe
from train.arguments import Arithmetic
from train.loss.tiled import TILE_ELEMENTS
from train.objective import distillation
from train.plan.activations import SHAPES_ONLY, Activations, MicroBatch, fill, mask_of
from train.plan.live_bytes import LiveBytes
from train.plan.memory import Teacher
from train.rollouts import Schedule
from train.sizes import linear_parameters, skeleton

FLOAT32 = 4
BYTES_IN_BITS = {"8bit": 1.0, "4bit": 0.53}
"""bytes of a quantised weight; NF4 has one doubly quantised scale per 64 weights"""


def teacher_of(recipe: Recipe, batch: MicroBatch, ranks: int) -> Teacher | None:
    """The unpruned model as a teacher; None if none is loaded."""
    section = distillation(recipe)
    if section is None or section.teacher.logits is not None:
        return None
    model = skeleton(recipe.model, recipe.prune, recipe.adapter).unpruned
    parameters, linear = model.num_parameters(), linear_parameters(model)
    head = model.get_output_embeddings().weight.numel()
    largest = max(sum(weights.numel() for weights in module.parameters(recurse=False)) for module in model.modules())
    plain = DTYPES[recipe.model.dtype].itemsize
    bits = BYTES_IN_BITS.get(section.teacher.weights)
    held = plain * parameters if bits is None else plain * (parameters - linear) + bits * linear
    return Teacher(
        parameters=parameters,
        weight_bytes=held / parameters,
        ranks=ranks if section.teacher.zero else 1,
        largest=largest,
        forward=_forward_bytes(model, batch),
        elsewhere=parameters - head if section.teacher.offload == "cpu" else 0,
    )


@dataclass(frozen=True)
class Thoughts:
    """The thoughts that a run generates to train on: their number, and the maximum of their tokens."""

    count: int
    tokens: int


def thoughts_of(section: OnPolicySection | None, batches: Arithmetic) -> Thoughts:
    """No thoughts without the section."""
    if section is None:
        return Thoughts(0, 0)
    schedule = Schedule(section, batches.global_batch, batches.steps)
    rounds = [schedule.round_of(step) for step in range(0, batches.steps, section.refresh_steps)]
    tokens = sum(len(each.numbers) * (each.horizon + section.answer_tokens) for each in rounds)
    return Thoughts(sum(len(each.numbers) for each in rounds), tokens)


def _forward_bytes(model: PreTrainedModel, batch: MicroBatch) -> int:
    """The peak of a forward pass without gradients, in addition to the weights; on fake tensors."""
    model.set_attn_implementation(SHAPES_ONLY)
    with FakeTensorMode(), torch.no_grad():
        fill(model)
        ids = torch.ones(batch.rows, batch.tokens, dtype=torch.long)
        mask = mask_of(batch)
        with LiveBytes([ids, *model.parameters(), *model.buffers()]) as live:
            model.base_model(input_ids=ids, attention_mask=mask, use_cache=False)
    return live.peak


def with_divergence(seen: Activations, recipe: Recipe, weight: torch.Tensor, batch: MicroBatch) -> Activations:
    """`seen` with a distillation's loss in place of the likelihood, or in addition to it if both are minimised.

    weight: the student's head [vocabulary, hidden].
    """
    section = distillation(recipe)
    if section is None:
        return seen
    divergence = _divergence_bytes(section, weight, batch.rows * (batch.tokens - 1))
    return replace(seen, head=divergence + (seen.head if section.nll_weight else 0))


def _divergence_bytes(section: DistillLoss, weight: torch.Tensor, positions: int) -> int:
    """Tiles of logits, gradients in float32 with their cast, and the teacher's hidden states at every position."""
    size = weight.element_size()
    of_hidden = positions * weight.shape[1] * (FLOAT32 + size)
    of_weight = weight.numel() * (FLOAT32 + size) if weight.requires_grad else 0
    if section.teacher.logits is not None:
        return 5 * TILE_ELEMENTS * FLOAT32 + of_hidden + of_weight  # logits, their logarithms, shares, two gradients
    tiles = 2 * min(positions, TOKEN_CHUNK_SIZE) * min(len(weight), VOCAB_CHUNK_SIZE) * FLOAT32
    return tiles + of_hidden + of_weight + positions * weight.shape[1] * size
