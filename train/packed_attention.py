"""Attention of packed rows: each trace separately, so a row costs the squares of its traces' lengths, not of its own.

transformers would build a mask of the whole row from the positions. That is exact, but quadratic in time and memory;
from about a thousand tokens on, it costs what packing gains. Instead, the model in training is switched to an attention
implementation that knows where traces end: one kernel for the whole row if it supports it (`train.varlen`), else one
call of SDPA per trace. The boundaries are computed once per batch, on the host; no layer reads them from the device.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from recipes.errors import UserError
from train.varlen import site_of, usable, varlen_attention

PACKED = "chainmend_packed"
SPLITTABLE = {"sdpa", PACKED}
IMPLEMENTATIONS = SPLITTABLE | {"eager", "flash_attention_2"}
KINDS_OF_LAYERS = {"full_attention", "sliding_attention"}
COMPARED = re.compile(r"_attn_implementation\s*(==|!=|in\b|not in\b)")
"""matches the source of a model that treats some attention names specially, such as with its own mask for SDPA"""
Batch = dict[str, Any]


@dataclass(frozen=True)
class SplitCollator:
    """Concatenates packed rows into one row [1, tokens] with positions and boundaries, for `packed_attention`.

    The mask is a placeholder with four dimensions: transformers passes it on and builds no mask. It has a one for every
    token, since TRL counts tokens by it. `trace_lengths` holds the lengths as plain numbers, which stay on the host
    when the batch moves to a GPU.
    """

    borders: DataCollatorForLanguageModeling

    def __call__(self, examples: list[dict[str, Any]]) -> Batch:
        batch: Batch = self.borders(examples)
        placeholder = torch.ones(1, 1, *batch["input_ids"].shape, dtype=torch.bool)
        lengths = tuple(batch["cu_seq_lens_q"].diff().tolist())
        return {**batch, "attention_mask": placeholder, "trace_lengths": lengths}


def packed_collator(model: PreTrainedModel, pad_id: int) -> Any:
    """The collator of packed rows for the attention of `model`; UserError if packing would not be exact.

    A model that can split rows is switched from SDPA to PACKED, which treats rows without boundaries like SDPA.
    """
    check_packable(model)
    borders = DataCollatorForLanguageModeling(pad_token_id=pad_id, padding_free=True)
    if not can_split(model):
        return borders
    model.set_attn_implementation(PACKED)
    # a model that cannot be switched only warns, and SDPA would use the collator's placeholder as a mask
    return SplitCollator(borders) if model.config._attn_implementation == PACKED else borders


def check_packable(model: PreTrainedModel) -> None:
    """UserError if the traces of a packed row would not be separated, so that packing changed the loss."""
    check_kinds(model.config)
    attention = model.config._attn_implementation
    if attention not in IMPLEMENTATIONS:
        raise UserError(
            f"data.packing=true: attention {attention} does not separate the traces of a row; "
            "use model.attention=sdpa or data.packing=false"
        )
    if not type(model).__module__.startswith("transformers.models."):
        raise UserError(
            "data.packing=true: this model has custom code, which may not separate the traces "
            "of a row; use data.packing=false"
        )


def check_kinds(config: Any) -> None:
    """UserError if, by its config, the model has layers that cannot separate traces."""
    others = set(getattr(config.get_text_config(), "layer_types", None) or []) - KINDS_OF_LAYERS
    if others:
        raise UserError(
            f"data.packing=true: layers of the kind {', '.join(sorted(others))} carry one trace into the "
            "next; use data.packing=false"
        )


def can_split(model: PreTrainedModel) -> bool:
    """Whether the model's layers pass the boundaries on to SDPA; otherwise the mask from the positions is needed."""
    code = sys.modules[type(model).__module__]
    return (
        model.config._attn_implementation in SPLITTABLE
        and model._supports_attention_backend
        and getattr(code, "ALL_ATTENTION_FUNCTIONS", None) is ALL_ATTENTION_FUNCTIONS
        and not compares_names(code)
    )


def compares_names(code: ModuleType) -> bool:
    """Whether a model's source compares its attention's name, so that another name would change its result."""
    return COMPARED.search(inspect.getsource(code)) is not None


def packed_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of a row whose boundaries are in `more` (`SplitCollator`); without them, transformers' SDPA.

    With boundaries, query, key, value: [1, heads, tokens, size]; the result: [1, tokens, heads, size].
    """
    lengths: Sequence[int] | None = more.pop("trace_lengths", None)
    if lengths is None:
        plain: tuple[torch.Tensor, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **more)
        return plain
    same_size = query.shape[-1] == value.shape[-1]
    if same_size and usable(site_of(query.device), query.dtype, query.shape[-1], more):
        return varlen_attention(query, key, value, more["cu_seq_lens_q"], more["max_length_q"], more), None
    return split_attention(module, query, key, value, lengths, more), None


def split_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    lengths: Sequence[int],
    more: Batch,
) -> torch.Tensor:
    """transformers' SDPA, trace by trace; query, key, value: [1, heads, tokens, size], lengths: tokens of each trace.

    Returns [1, tokens, heads, size]. Traces longer than a sliding window get a mask for it.
    """
    parts = zip(*(states.split(list(lengths), dim=2) for states in (query, key, value)), lengths, strict=True)
    window = more.get("sliding_window")
    # without a mask SDPA is causal and uses its fast kernels
    return torch.cat(
        [
            sdpa_attention_forward(module, q, k, v, _window_mask(length, window, q.device), **more)[0]
            for q, k, v, length in parts
        ],
        dim=1,
    )


def _window_mask(length: int, window: int | None, device: torch.device) -> torch.Tensor | None:
    """[1, 1, length, length]: a token sees itself and the `window` - 1 before it; None if causal suffices."""
    if window is None or length <= window:
        return None
    positions = torch.arange(length, device=device)
    back = positions[:, None] - positions[None, :]  # [tokens, tokens]: distance of the column before the row
    return ((back >= 0) & (back < window))[None, None]


AttentionInterface.register(PACKED, packed_attention)
AttentionMaskInterface.register(PACKED, sdpa_mask)  # rows that are not packed get SDPA's masks
