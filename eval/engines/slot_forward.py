"""One forward of a transformers model over the slot cache, with masks for its layers' kinds of attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from data_prep.tokens.padding import pad_right
from eval.engines.slot_attention import SLOTS, blocks_of
from eval.engines.slot_cache import SlotCache
from eval.engines.state_cache import STATE_KINDS, layer_kinds

Windows = Mapping[str, int | None]
"""kinds of attention and their sliding windows in tokens (None: all earlier tokens are visible)"""
Mask = torch.Tensor | Mapping[str, torch.Tensor | None] | None
FULL, SLIDING = "full_attention", "sliding_attention"


class SlotForward:
    """The forward of a model in evaluation mode with slot, SDPA or eager attention (`eval.quiet`)."""

    def __init__(self, model: PreTrainedModel, windows: Windows) -> None:
        self.model, self.windows = model, windows
        self.uses_slots = model.config._attn_implementation == SLOTS
        self.has_states = bool(layer_kinds(model.config.get_text_config()))
        self.is_causal = self.uses_slots and set(windows.values()) == {None} and not self.has_states

    def prefill(self, heads: Sequence[Sequence[int]], cache: SlotCache, first_slot: int) -> None:
        """Fills fresh slots from `first_slot` on with the tokens of `heads`, one row each, from position 0."""
        ids = pad_right(heads, pad_id=0)["input_ids"].to(self.model.device)  # [rows, longest]
        cache.for_prefill(first_slot, ids.shape[1])
        positions = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
        # Without sliding windows no mask is needed: rows begin at position 0, and padding comes after them.
        self.logits(ids, positions, None if self.is_causal else self._masks(positions, ids.shape[1]), cache, {})

    def step(self, tokens: Sequence[int], lengths: Sequence[int], cache: SlotCache) -> torch.Tensor:
        """Feeds one token to each of the first rows, of which `lengths` tokens are valid; logits [rows, vocabulary]."""
        device = self.model.device
        ids = torch.tensor(tokens, device=device)[:, None]  # [rows, 1]
        positions = torch.tensor(lengths, device=device)  # [rows]
        cache.for_step(positions, max(lengths) + 1)
        masks = self._masks(positions[:, None], cache.width)
        return self.logits(ids, positions[:, None], masks, cache, {"slot_blocks": blocks_of(lengths)})

    def fixed_step(self, ids: torch.Tensor, positions: torch.Tensor, width: int, cache: SlotCache) -> torch.Tensor:
        """The same in a fixed shape, entirely on the device: ids and positions [rows] are on it, and the host is not
        involved, so that it can be captured in a CUDA graph. `width`: a number of columns that no row exceeds."""
        cache.for_step(positions, width)
        if not self.uses_slots:
            return self.logits(ids[:, None], positions[:, None], self._masks(positions[:, None], width), cache, {})
        # For each kind of layer [rows, 1, 1, 2]: the first column that a row sees, and its length (`slot_attention`).
        first = {
            kind: torch.zeros_like(positions) if window is None else (positions - window + 1).clamp(min=0)
            for kind, window in self.windows.items()
        }
        spans = {kind: torch.stack([columns, positions + 1], 1)[:, None, None] for kind, columns in first.items()}
        return self.logits(ids[:, None], positions[:, None], self.by_kind(spans), cache, {})

    def logits(
        self, ids: torch.Tensor, positions: torch.Tensor, mask: Mask, cache: SlotCache, more: dict[str, object]
    ) -> torch.Tensor:
        """Logits [rows, vocabulary] of the last column.

        ids and positions [rows, tokens]; more: passed on to `slot_attention`; other implementations ignore it.
        """
        output = self.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
            **more,
        )
        return output.logits[:, -1]

    def by_kind(self, masks: dict[str, torch.Tensor]) -> Mask:
        """Families with several kinds of layers take one mask per kind, by name; the others take the mask itself.
        Layers that keep a state have no columns and get no mask."""
        if self.has_states:
            return {kind: None if kind in STATE_KINDS else mask for kind, mask in masks.items()}
        return masks if len(masks) > 1 else next(iter(masks.values()))

    def mask(self, visible: torch.Tensor) -> torch.Tensor:
        """`visible` [rows, tokens, width] as [rows, 1, tokens, width]: boolean for SDPA, additive for eager."""
        if self.model.config._attn_implementation == "sdpa" or (self.uses_slots and visible.shape[1] > 1):
            return visible[:, None]
        dtype = self.model.dtype
        hidden = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
        # the smallest finite number, not -inf: a row without a visible column would turn into NaN
        return hidden.masked_fill_(~visible, torch.finfo(dtype).min)[:, None]

    def _masks(self, positions: torch.Tensor, width: int) -> Mask:
        """Attention over cache columns 0 … position of each token, or its window; positions [rows, tokens]."""
        columns = torch.arange(width, device=positions.device)
        visible = columns <= positions[..., None]  # [rows, tokens, width]
        return self.by_kind(
            {
                kind: self.mask(visible if window is None else visible & (columns > positions[..., None] - window))
                for kind, window in self.windows.items()
            }
        )


def attention_windows(config: PreTrainedConfig) -> dict[str, int | None]:
    """A model's windows, as its config names them."""
    window = getattr(config, "sliding_window", None)
    kinds = set(getattr(config, "layer_types", None) or [])
    if not kinds:
        uses_window = window is not None and getattr(config, "use_sliding_window", True)
        return {FULL: window if uses_window else None}
    return {kind: window if kind == SLIDING else None for kind in sorted(kinds | {FULL})}


def window_readings(config: PreTrainedConfig) -> list[dict[str, int | None]]:
    """The possible meanings of the config, the likeliest first: as named, a window in every layer, none in any.

    Some model classes use a window that another family's config left behind and others ignore it, whatever else the
    config says; `eval.engines.own_forward` finds out which.
    """
    named = attention_windows(config)
    window = getattr(config, "sliding_window", None)
    readings = [named, dict.fromkeys(named, window), dict.fromkeys(named)]
    return [reading for i, reading in enumerate(readings) if reading not in readings[:i]]
