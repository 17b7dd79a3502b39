"""Decoding in blocks of steps: the device runs several steps without the host, which then reads the tokens.

The host's state machine (`eval.budget_forcing`) knows nothing of blocks. It accepts the chosen tokens one by one as
long as it would have fed exactly these, at these positions, with the same bans and random numbers. At a budget, a
close, a loop or an end it needs something else: the rest of that row is discarded as if it had never been decoded, and
the next block feeds what the machine requests. So the results equal those of single steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from eval.budget_forcing import ForcedThought
from eval.engines.decode_graphs import Runner, step_size
from eval.engines.decode_step import DecodeStep
from eval.engines.slot_cache import SlotCache
from eval.engines.slot_forward import SlotForward
from eval.protocol import Protocol

STEPS = 8
"""steps per block: more would save little host time and discard more tokens at every end"""


class BlockSteps:
    """Advances all thoughts by one block. `active[i]` has slot i of the cache."""

    def __init__(self, forward: SlotForward, cache: SlotCache, protocol: Protocol, captures: bool) -> None:
        self.cache, self.step = cache, DecodeStep(forward, cache, protocol, STEPS)
        self.runner = Runner(self.step, captures)
        self.constant_bans = frozenset(protocol.format.banned_ids)
        self.is_exact = False  # whether all first choices of the next block must be decided

    def advance(self, active: list[ForcedThought]) -> None:
        """Runs one block; each thought accepts those of its tokens that it would have chosen itself."""
        longest = max(thought.length for thought in active) + STEPS
        size = step_size(len(active), min(longest, self.cache.capacity), self.cache)
        self._fill(active, size.rows)
        self.runner.run(size, STEPS, self.is_exact)
        buffers, rows = self.step.buffers, len(active)
        chosen, decided = (part[:rows].cpu().tolist() for part in (buffers.chosen, buffers.decided))
        left = [take(*row) for row in zip(active, chosen, decided, strict=True)]
        self.is_exact = any(left)

    def close(self) -> None:
        """Frees the device memory of the blocks."""
        self.runner.close()

    def _fill(self, active: list[ForcedThought], rows: int) -> None:
        """The buffers of the first `rows` rows. Rows without a thought feed token 0 to a slot that nothing uses."""
        buffers = self.step.buffers
        host = {
            "fed": np.zeros((rows, STEPS), dtype=np.int64),
            "position": np.zeros(rows, dtype=np.int64),
            "first_choice": np.full(rows, STEPS, dtype=np.int64),
            "answering": np.zeros(rows, dtype=bool),
            "banned": np.zeros((rows, buffers.banned.shape[1]), dtype=np.int64),
            "has_banned": np.zeros(rows, dtype=bool),
            "uniform": np.zeros((rows, STEPS)),
        }
        for row, thought in enumerate(active):
            queue = thought.queue[:STEPS]
            host["fed"][row, : len(queue)], host["fed"][row, len(queue) :] = queue, -1
            host["position"][row], host["answering"][row] = thought.length, thought.answering
            if len(thought.queue) > STEPS:
                continue  # nothing is chosen yet
            first = len(queue) - 1
            host["first_choice"][row] = first
            host["uniform"][row, first:] = thought.uniforms_ahead(STEPS - first)
            if more := [token for token in thought.banned_ids if token not in self.constant_bans]:
                host["banned"][row], host["has_banned"][row] = more[0], True
                host["banned"][row, : len(more)] = more
        for name, values in host.items():
            getattr(buffers, name)[:rows].copy_(torch.from_numpy(values))
        buffers.step.zero_()


def take(thought: ForcedThought, chosen: Sequence[int], decided: Sequence[bool]) -> bool:
    """Hands a thought the tokens of its row that are valid for it; returns whether one must be chosen exactly.

    chosen, decided [steps]: of the block whose feed was `thought.queue`.
    """
    start, answering, fed = thought.length, thought.answering, thought.queue[: len(chosen)]
    thought.queue, thought.length = thought.queue[len(fed) :], start + len(fed)
    if thought.queue:
        return False
    last, first = fed[-1], len(fed) - 1
    for step in range(first, len(chosen)):
        token = chosen[step]
        # A token whose ban the device did not know may have had a share of the draw, even if it was not chosen.
        if not decided[step] or (step > first and _bans_more(thought)):
            # Its logits are gone: the token before it is fed again, and the next block chooses with the right bans.
            thought.queue, thought.length = [last], thought.length - 1
            return not decided[step]
        thought.accept(token)
        goes_on = thought.queue == [token] and thought.length == start + step + 1 and thought.answering == answering
        if thought.done or not goes_on or step + 1 == len(chosen):
            return False
        thought.queue, thought.length, last = [], thought.length + 1, token
    return False


def _bans_more(thought: ForcedThought) -> bool:
    """Whether its next choice has bans beyond those of every choice in an answer."""
    return len(thought.banned_ids) > len(thought.protocol.format.banned_ids)
