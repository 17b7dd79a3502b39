"""The in-process engine: decodes on the very weights that are training, with continuous batching over cache slots."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
import transformers
from transformers import PreTrainedModel

from data_prep.tokens.padding import pad_right
from eval.budget_forcing import ForcedThought
from eval.engines.memory import PREFILL_TOKENS, SlotLayout, lay_out_slots, row_tokens
from eval.engines.slot_attention import SLOTS, Blocks, blocks_of
from eval.engines.slot_cache import SlotCache
from eval.protocol import Protocol
from eval.streams import sample_tokens
from eval.types import Missing, Request, Thought
from runtime.pulse import beat

LIMIT_BYTES = 4 << 30
PREFILL_ROWS = 32
REFILL_SHARE = 8
"""new thoughts wait until an eighth of the slots is free, so that their prompts are run together"""
Mask = torch.Tensor | dict[str, torch.Tensor] | None


def hf_version() -> str:
    """What a protocol hash says of this engine."""
    return f"hf transformers {transformers.__version__} torch {torch.__version__}"


class HFEngine:
    """Thinks on a loaded transformers model. The caller sets evaluation mode and gathers weights (`eval.quiet`).

    At most `batch_size` thoughts are decoded side by side, fewer where they would take more than `limit_bytes`.
    """

    def __init__(
        self, model: PreTrainedModel, protocol: Protocol, batch_size: int, limit_bytes: int = LIMIT_BYTES
    ) -> None:
        self.model, self.protocol, self.batch_size, self.limit_bytes = model, protocol, batch_size, limit_bytes
        self.windows = attention_windows(model.config)
        self.uses_slots = model.config._attn_implementation == SLOTS
        self.is_causal = self.uses_slots and set(self.windows.values()) == {None}

    @torch.inference_mode()  # `eval.quiet` copies what the model caches meanwhile, which autograd would refuse
    def think(self, requests: Sequence[Request]) -> Iterator[Thought | Missing]:
        """Yields each thought as it ends. Long prompts go first, so that rows of similar length are neighbours.

        If the device runs out of memory all the same, decoding continues with half as many rows; a thought that does
        not fit even alone is missing.
        """
        waiting = deque(sorted(requests, key=lambda r: -r.longest_prompt_tokens))
        active: list[ForcedThought] = []
        layout = self._layout(waiting) if waiting else None
        while waiting or active:
            assert layout is not None
            try:
                yield from self._decode(waiting, active, layout)
            except torch.OutOfMemoryError:
                if layout.slots == 1:
                    lost = active.pop().request if active else waiting.popleft()
                    yield Missing(lost.problem, lost.sample, f"out of memory at {layout.capacity} tokens, alone")
                # Thoughts begin again from their prompts; each has its own random stream, so they come out the same.
                waiting.extendleft(thought.request for thought in reversed(active))
                active.clear()
                layout = replace(layout, slots=max(1, layout.slots // 2))

    def _layout(self, waiting: Sequence[Request]) -> SlotLayout:
        capacity = row_tokens(self.protocol, waiting[0].longest_prompt_tokens)
        return lay_out_slots(self.model, self.protocol, capacity, min(self.batch_size, len(waiting)), self.limit_bytes)

    def _decode(self, waiting: deque[Request], active: list[ForcedThought], layout: SlotLayout) -> Iterator[Thought]:
        """Continuous batching: free slots take the next requests while the others continue.

        `active[i]` has slot i. Both lists are the caller's, so that it sees what was in progress when memory ran out.
        """
        slots, cache = layout.slots, SlotCache(self.model.config.num_hidden_layers, layout.slots, layout.capacity)
        while active or waiting:
            free = slots - len(active)
            if waiting and free >= max(1, slots // REFILL_SHARE):
                fresh = [ForcedThought(waiting.popleft(), self.protocol) for _ in range(min(free, len(waiting)))]
                active += fresh
                self._prefill(fresh, cache, len(active) - len(fresh))
            self._step(active, cache)
            beat()
            # From the last slot down, so that the thought that moves into a free slot has been looked at already.
            for slot in range(len(active) - 1, -1, -1):
                if active[slot].done:
                    yield active[slot].thought()
                    last = active.pop()
                    if slot < len(active):
                        active[slot] = last
                        cache.move(len(active), slot, last.length)

    def _prefill(self, fresh: list[ForcedThought], cache: SlotCache, first_slot: int) -> None:
        """Runs all prompt tokens but the last; that one is fed by the first step, which needs its logits alone."""
        heads = [thought.queue[:-1] for thought in fresh]
        for thought in fresh:
            thought.length, thought.queue = len(thought.queue) - 1, thought.queue[-1:]
        for start, stop in prefill_chunks([len(head) for head in heads]):
            ids = pad_right(heads[start:stop], pad_id=0)["input_ids"].to(self.model.device)  # [rows, longest]
            positions = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
            cache.for_prefill(first_slot + start, ids.shape[1])
            self._forward(ids, positions, ids.shape[1], cache, None)

    def _step(self, active: list[ForcedThought], cache: SlotCache) -> None:
        """Feeds one token to every row; rows whose queue is then empty choose their next one."""
        device = self.model.device
        ids = torch.tensor([[thought.queue.pop(0)] for thought in active], device=device)  # [rows, 1]
        lengths = [thought.length for thought in active]
        positions = torch.tensor(lengths, device=device)  # [rows]
        cache.for_step(positions, max(lengths) + 1)
        logits = self._forward(ids, positions[:, None], cache.width, cache, blocks_of(lengths))
        for thought in active:
            thought.length += 1
        for thought, token in zip(active, self._choose(logits, active), strict=True):
            if not thought.queue:
                thought.accept(token)

    def _forward(
        self, ids: torch.Tensor, positions: torch.Tensor, width: int, cache: SlotCache, blocks: Blocks | None
    ) -> torch.Tensor:
        """Logits [rows, vocabulary] of the last column; attention over cache columns 0 … position of each token.

        ids and positions [rows, tokens]; width: columns of the cache that are read; blocks: None in a prefill. A
        prefill without sliding windows needs no mask: its rows begin at position 0, and padding comes after them.
        """
        if blocks is None and self.is_causal:
            return self._logits(ids, positions, None, cache, None)
        columns = torch.arange(width, device=ids.device)
        visible = columns <= positions[..., None]  # [rows, tokens, width]
        masks = {
            kind: visible if window is None else visible & (columns > positions[..., None] - window)
            for kind, window in self.windows.items()
        }
        four_dimensional = {kind: self._mask(mask) for kind, mask in masks.items()}
        # Families with several kinds of layers take a mask for each by name; the others take the mask itself.
        mask = four_dimensional if len(four_dimensional) > 1 else next(iter(four_dimensional.values()))
        return self._logits(ids, positions, mask, cache, blocks)

    def _logits(
        self, ids: torch.Tensor, positions: torch.Tensor, mask: Mask, cache: SlotCache, blocks: Blocks | None
    ) -> torch.Tensor:
        output = self.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
            slot_blocks=blocks,  # handed through to `slot_attention`; other implementations ignore it
        )
        return output.logits[:, -1]

    def _mask(self, visible: torch.Tensor) -> torch.Tensor:
        """[rows, 1, tokens, width]: boolean for SDPA, additive for eager attention."""
        if self.model.config._attn_implementation == "sdpa" or (self.uses_slots and visible.shape[1] > 1):
            return visible[:, None]
        dtype = self.model.dtype
        hidden = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
        # the smallest finite number, not -inf: a row without a visible column would turn into NaN
        return hidden.masked_fill_(~visible, torch.finfo(dtype).min)[:, None]

    def _choose(self, logits: torch.Tensor, active: list[ForcedThought]) -> list[int]:
        """The next token of each row; never an id beyond the tokenizer, nor a think mark in an answer."""
        logits = logits[:, : self.protocol.vocabulary_size].float()
        banned = [(row, token) for row, thought in enumerate(active) for token in thought.banned_ids]
        if banned:
            rows, tokens = torch.tensor(banned, device=logits.device).unbind(1)
            logits[rows, tokens] = -torch.inf
        if self.protocol.temperature == 0:
            return logits.argmax(dim=-1).tolist()
        # A row that still has tokens to feed chooses none: its number is not used.
        uniform = torch.tensor([0.0 if thought.queue else thought.uniform for thought in active], dtype=torch.float64)
        return sample_tokens(logits, uniform, self.protocol.sampling).tolist()


def prefill_chunks(lengths: Sequence[int]) -> Iterator[tuple[int, int]]:
    """(first, last + 1) of neighbouring prompts that are run together: at most 32, and 4,096 tokens with padding.

    Prompts without a token to run are left out; one that is longer than that is run alone.
    """
    start = 0
    while start < len(lengths):
        stop, longest = start, 0
        while stop < len(lengths) and stop - start < PREFILL_ROWS:
            longest = max(longest, lengths[stop])
            if stop > start and longest * (stop - start + 1) > PREFILL_TOKENS:
                break
            stop += 1
        if max(lengths[start:stop]):
            yield start, stop
        start = stop


def attention_windows(config: transformers.PreTrainedConfig) -> dict[str, int | None]:
    """Attention kinds of a model and their sliding windows in tokens (None: sees everything before it)."""
    window = getattr(config, "sliding_window", None)
    kinds = set(getattr(config, "layer_types", None) or [])
    if not kinds:
        uses_window = window is not None and getattr(config, "use_sliding_window", True)
        return {"full_attention": window if uses_window else None}
    return {kind: window if kind == "sliding_attention" else None for kind in sorted(kinds | {"full_attention"})}
