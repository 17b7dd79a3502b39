"""The in-process engine: decodes on the very weights that are training, with continuous batching over cache slots."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import torch
import transformers
from transformers import PreTrainedModel

from data_prep.calibration import pad_right
from eval.budget_forcing import ForcedThought
from eval.engines.slot_cache import SlotCache
from eval.protocol import Protocol
from eval.streams import sample_tokens
from eval.types import Request, Thought


def engine_version() -> str:
    """What a protocol hash says of this engine."""
    return f"hf transformers {transformers.__version__} torch {torch.__version__}"


class HFEngine:
    """Thinks on a loaded transformers model. The caller sees to evaluation mode and gathered weights (`eval.quiet`)."""

    def __init__(self, model: PreTrainedModel, protocol: Protocol, batch_size: int) -> None:
        self.model, self.protocol, self.batch_size = model, protocol, batch_size
        self.windows = attention_windows(model.config)

    @torch.no_grad()  # not inference_mode: what a live model caches in it could not train afterwards
    def think(self, requests: Sequence[Request]) -> Iterator[Thought]:
        """Yields each thought as it ends. Long prompts go first; a slot that falls free takes the next request."""
        waiting = deque(sorted(requests, key=lambda r: -r.longest_prompt_tokens))
        if not waiting:
            return
        slots = min(self.batch_size, len(waiting))
        cache = SlotCache(len(self.model.model.layers), slots, waiting[0].longest_prompt_tokens + self._room())
        active: list[ForcedThought] = []
        while active or waiting:
            free = slots - len(active)
            if waiting and free >= max(1, slots // 8):
                fresh = [ForcedThought(waiting.popleft(), self.protocol) for _ in range(min(free, len(waiting)))]
                self._prefill(fresh, cache, len(active))
                active += fresh
            self._step(active, cache)
            for slot in range(len(active) - 1, -1, -1):
                if active[slot].done:
                    yield active[slot].thought()
                    last = active.pop()
                    if slot < len(active):
                        active[slot] = last
                        cache.move(len(active), slot, last.length)

    def _room(self) -> int:
        """Tokens a row may need beyond its prompt."""
        fmt = self.protocol.format
        closing = max(len(fmt.forced_close_ids), len(fmt.own_close_ids))
        return self.protocol.budgets[-1] + closing + self.protocol.answer_tokens

    def _prefill(self, fresh: list[ForcedThought], cache: SlotCache, first_slot: int) -> None:
        """Runs all prompt tokens but the last; that one goes with the first step, whose logits are then one a row."""
        heads = [thought.queue[:-1] for thought in fresh]
        for thought in fresh:
            thought.length, thought.queue = len(thought.queue) - 1, thought.queue[-1:]
        if not max(map(len, heads)):
            return
        batch = pad_right(heads, pad_id=0)
        ids = batch["input_ids"].to(self.model.device)
        positions = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
        cache.for_prefill(first_slot)
        self._forward(ids, positions, ids.shape[1], cache)

    def _step(self, active: list[ForcedThought], cache: SlotCache) -> None:
        """One token for every row; rows whose queue is used up choose their next one."""
        device = self.model.device
        ids = torch.tensor([[thought.queue.pop(0)] for thought in active], device=device)
        positions = torch.tensor([thought.length for thought in active], device=device)
        cache.for_step(positions)
        logits = self._forward(ids, positions[:, None], cache.width, cache)
        for thought in active:
            thought.length += 1
        chosen = self._choose(logits, active)
        for thought, token in zip(active, chosen, strict=True):
            if not thought.queue:
                thought.accept(token)

    def _forward(self, ids: torch.Tensor, positions: torch.Tensor, width: int, cache: SlotCache) -> torch.Tensor:
        """Logits [rows, vocabulary] of the last column; attention over cache columns 0 … position of each token."""
        columns = torch.arange(width, device=ids.device)
        visible = columns <= positions[..., None]
        masks = {kind: visible if window is None else visible & (columns > positions[..., None] - window)
                 for kind, window in self.windows.items()}
        four_dimensional = {kind: self._mask(mask) for kind, mask in masks.items()}
        mask = four_dimensional if len(four_dimensional) > 1 else next(iter(four_dimensional.values()))
        output = self.model(input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache,
                            use_cache=True, logits_to_keep=1)
        return output.logits[:, -1]

    def _mask(self, visible: torch.Tensor) -> torch.Tensor:
        """[rows, 1, tokens, width]: boolean for SDPA, additive for eager attention."""
        if self.model.config._attn_implementation == "sdpa":
            return visible[:, None]
        dtype = self.model.dtype
        hidden = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
        return hidden.masked_fill_(~visible, torch.finfo(dtype).min)[:, None]

    def _choose(self, logits: torch.Tensor, active: list[ForcedThought]) -> list[int]:
        """The next token of each row; ids beyond the tokenizer never, think-open and think-close not in an answer."""
        logits = logits[:, : self.protocol.vocabulary_size].float()
        answering = torch.tensor([thought.answering for thought in active], device=logits.device)
        banned = torch.tensor(self.protocol.format.banned_ids, device=logits.device)
        logits[:, banned] = logits[:, banned].masked_fill(answering[:, None], -torch.inf)
        if self.protocol.temperature == 0:
            return logits.argmax(dim=-1).tolist()
        uniform = torch.tensor([0.0 if thought.queue else thought.uniform for thought in active], dtype=torch.float64)
        return sample_tokens(logits, uniform, self.protocol.sampling).tolist()


def attention_windows(config: transformers.PreTrainedConfig) -> dict[str, int | None]:
    """Attention kinds of a model and their sliding windows in tokens (None: sees everything before it)."""
    window = getattr(config, "sliding_window", None)
    kinds = set(getattr(config, "layer_types", None) or [])
    if not kinds:
        uses_window = window is not None and getattr(config, "use_sliding_window", True)
        return {"full_attention": window if uses_window else None}
    return {kind: window if kind == "sliding_attention" else None for kind in sorted(kinds | {"full_attention"})}
