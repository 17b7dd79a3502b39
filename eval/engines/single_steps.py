"""Decoding one token at a time, each chosen on the host: for CPUs, where host and device do not run in parallel."""

from __future__ import annotations

import torch

from eval.budget_forcing import ForcedThought
from eval.engines.slot_cache import SlotCache
from eval.engines.slot_forward import SlotForward
from eval.protocol import Protocol
from eval.streams import sample_tokens


class SingleSteps:
    """Advances all thoughts by one token at a time. `active[i]` has slot i of the cache."""

    def __init__(self, forward: SlotForward, cache: SlotCache, protocol: Protocol) -> None:
        self.forward, self.cache, self.protocol = forward, cache, protocol

    def advance(self, active: list[ForcedThought]) -> None:
        """Feeds one token to every row; rows whose queue is then empty choose their next one."""
        tokens = [thought.queue.pop(0) for thought in active]
        logits = self.forward.step(tokens, [thought.length for thought in active], self.cache)
        for thought in active:
            thought.length += 1
        for thought, token in zip(active, self._choose(logits, active), strict=True):
            if not thought.queue:
                thought.accept(token)

    def close(self) -> None:
        """Nothing to free."""

    def _choose(self, logits: torch.Tensor, active: list[ForcedThought]) -> list[int]:
        """The next token of each row; never an id beyond the tokenizer, nor a thinking tag in an answer."""
        logits = logits[:, : self.protocol.vocabulary_size].float()
        banned = [(row, token) for row, thought in enumerate(active) for token in thought.banned_ids]
        if banned:
            rows, tokens = torch.tensor(banned, device=logits.device).unbind(1)
            logits[rows, tokens] = -torch.inf
        if self.protocol.temperature == 0:
            return logits.argmax(dim=-1).tolist()
        # A row that still has tokens to feed does not choose; its random number is not used.
        uniform = torch.tensor([0.0 if thought.queue else thought.uniform for thought in active], dtype=torch.float64)
        return sample_tokens(logits, uniform, self.protocol.sampling).tolist()
