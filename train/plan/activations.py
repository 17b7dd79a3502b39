"""The memory of a micro batch beyond weights and gradients, from one run of the model on fake tensors (shapes only)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from trl.kernels.chunked_logprob import TOKEN_CHUNK_SIZE, ChunkedLogProbFunction
from trl.trainer.utils import _CHUNKED_LOGPROB_CHUNK_SIZE

from prune.families import decoder_layers
from train.loss.tiled import TiledLogLikelihood
from train.plan.fused import as_if_fused
from train.plan.live_bytes import LiveBytes
from train.sizes import Skeleton

METRICS = ("log_probs", "entropy", "is_top1")  # what SFTTrainer reads from the head

SHAPES_ONLY = "chainmend_shapes_only"
# transformers builds no mask for an attention whose name it does not know, and passes a mask with four dimensions
# through unchanged. Building one would read the values of the padding mask, which fake tensors do not have.
AttentionInterface.register(SHAPES_ONLY, sdpa_attention_forward)


@dataclass(frozen=True)
class MicroBatch:
    """Rows, tokens per row, whether rows are padded, whether (and how) layers are recomputed in the backward pass, and
    whether norms, MLPs and the rotary embedding are fused kernels."""

    rows: int
    tokens: int
    padded: bool
    checkpointing: bool
    reentrant: bool = False
    fused: bool = False


@dataclass(frozen=True)
class Activations:
    """Bytes in addition to weights and gradients. saved: what the layers keep after a forward pass; backward: the peak
    of the backward pass; layer: its peak in the layers that it reaches last; head: the peak of output projection and
    loss in addition to `saved`; head_gradient: gradient of the projection, kept until that of a tied embedding."""

    saved: int
    backward: int
    layer: int
    head: int
    head_gradient: int


def measure_activations(models: Skeleton, batch: MicroBatch, device: Literal["cuda", "cpu"]) -> Activations:
    """The memory of one micro batch, forward and backward, with CPU kernels except for the head on a GPU.

    This changes `models.trained` (storage, attention, checkpointing), so measure each skeleton only once.
    """
    models.pruned.set_attn_implementation(SHAPES_ONLY)
    with FakeTensorMode():
        fill(models.trained)
        with as_if_fused(models.pruned) if batch.fused else nullcontext():
            saved, backward, layer = _backbone(models, batch)
        head, gradient = _head(models, batch, device)
    return Activations(saved=saved, backward=backward, layer=layer, head=head, head_gradient=gradient)


def fill(model: torch.nn.Module) -> None:
    """Replaces every meta tensor by a fake tensor of the same shape and type.

    A fake tensor claims to be on a CPU, so torch picks CPU kernels and saves the same tensors for them as in a run.
    """
    filled: dict[int, torch.Tensor] = {}  # by identity, so that tied weights stay tied
    for module in model.modules():
        for tensors in (module._parameters, module._buffers):
            for name, meta in tensors.items():
                if meta is not None:
                    tensors[name] = filled.setdefault(id(meta), _empty(meta))  # type: ignore[assignment]


def _empty(meta: torch.Tensor) -> torch.Tensor:
    tensor = torch.empty(meta.shape, dtype=meta.dtype)
    if isinstance(meta, torch.nn.Parameter):
        return torch.nn.Parameter(tensor, requires_grad=meta.requires_grad)
    return tensor


def _backbone(models: Skeleton, batch: MicroBatch) -> tuple[int, int, int]:
    """(saved, peak of the backward pass, its peak in the first layer), in bytes, without weights and gradients."""
    _train_mode(models, batch)
    ids = torch.ones(batch.rows, batch.tokens, dtype=torch.long)
    mask = mask_of(batch)
    live = LiveBytes([ids, *models.trained.parameters(), *models.trained.buffers()])
    with live, _without_gradients(models, live) as peaks:
        hidden = models.pruned.base_model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        saved = live.now
        if not hidden.requires_grad:  # adapters only on the head: no layer keeps anything
            return 0, live.peak, 0
        live.peak = live.now  # temporary memory of the forward pass is freed
        hidden.backward(torch.zeros_like(hidden))
    return saved, max([live.peak, *peaks]), live.peak


def _train_mode(models: Skeleton, batch: MicroBatch) -> None:
    """Puts the model into training mode like SFTTrainer."""
    models.trained.train()
    if not batch.checkpointing:
        return
    models.pruned.activation_checkpointing_enable({"use_reentrant": batch.reentrant})
    if models.trained is not models.pruned:
        models.pruned.enable_input_require_grads()


@contextmanager
def _without_gradients(models: Skeleton, live: LiveBytes) -> Iterator[list[int]]:
    """Frees every gradient as soon as it exists, since `train.plan.memory` counts gradients by its own rules.

    The list receives the peak before the backward pass of the first layer, and then the peak is reset. The caller can
    thus separate the end of a backward pass, when all gradients exist, from the rest.
    """
    peaks: list[int] = []
    second = {id(parameter) for layer in decoder_layers(models.pruned)[1:2] for parameter in layer.parameters()}

    def drop(parameter: torch.Tensor) -> None:
        parameter.grad = None
        if id(parameter) in second:
            peaks.append(live.peak)
            live.peak = live.now

    hooks = [
        parameter.register_post_accumulate_grad_hook(drop)
        for parameter in models.trained.parameters()
        if parameter.requires_grad
    ]
    try:
        yield peaks
    finally:
        for hook in hooks:
            hook.remove()


def mask_of(batch: MicroBatch) -> torch.Tensor | None:
    """SDPA's mask if rows are padded, [rows, 1, tokens, tokens]; None if causal attention suffices."""
    return torch.ones(batch.rows, 1, batch.tokens, batch.tokens, dtype=torch.bool) if batch.padded else None


def _head(models: Skeleton, batch: MicroBatch, device: Literal["cuda", "cpu"]) -> tuple[int, int]:
    """(peak of projection and loss over its hidden states, forward and backward; the projection's gradient)."""
    weight = models.pruned.get_output_embeddings().weight  # [vocabulary, hidden]
    positions = batch.rows * (batch.tokens - 1)  # the last token of a row predicts nothing
    gradient = weight.numel() * weight.element_size() if weight.requires_grad else 0
    if device == "cuda":
        return _fused_head_bytes(weight, positions), gradient
    hidden = torch.empty(positions, weight.shape[1], dtype=weight.dtype, requires_grad=True)
    targets = torch.ones(positions, dtype=torch.long)
    with LiveBytes([hidden, weight, targets]) as live:
        _loss(hidden, weight, targets).backward()
    weight.grad = None
    return live.peak, gradient


def _loss(hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The loss as in a run on a CPU: tiled in float32, else TRL's kernels; same shapes as there."""
    if weight.dtype == torch.float32:
        loss: torch.Tensor = TiledLogLikelihood.apply(hidden, weight, targets)[0]
        return loss
    log_probs, *_ = ChunkedLogProbFunction.apply(
        hidden, weight, None, targets, 1.0, min(len(weight), _CHUNKED_LOGPROB_CHUNK_SIZE), None, 1.0, METRICS
    )
    return -log_probs.sum()


def _fused_head_bytes(weight: torch.Tensor, positions: int) -> int:
    """TRL's head on a GPU: one tile of logits, and the gradients in float32 together with their cast.

    Computed by formula, since its Triton kernels do not run on a CPU and do not accept fake tensors.
    """
    size = weight.element_size()
    tile = min(positions, TOKEN_CHUNK_SIZE) * _CHUNKED_LOGPROB_CHUNK_SIZE * size
    of_hidden = positions * weight.shape[1] * (torch.float32.itemsize + size)
    of_weight = weight.numel() * (torch.float32.itemsize + size) if weight.requires_grad else 0
    return tile + of_hidden + of_weight
