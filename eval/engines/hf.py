"""The in-process engine: decodes with the weights in training, with continuous batching over cache slots."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol as Typed

import torch
import transformers
from transformers import PreTrainedModel

from eval.budget_forcing import ForcedThought
from eval.engines.block_steps import BlockSteps
from eval.engines.memory import PREFILL_TOKENS, SlotLayout, lay_out_slots, row_tokens
from eval.engines.own_forward import agreed_windows
from eval.engines.pace import Pace
from eval.engines.single_steps import SingleSteps
from eval.engines.slot_cache import SlotCache
from eval.engines.slot_forward import SlotForward
from eval.engines.state_cache import StateCache, make_cache
from eval.engines.state_steps import StateSteps
from eval.protocol import Protocol
from eval.types import Missing, Request, Thought
from runtime.pulse import beat

LIMIT_BYTES = 4 << 30
PREFILL_ROWS = 32
FIXED_ROWS = 64
"""rows per step on a GPU under `deterministic`, whatever `batch_size`"""
REFILL_SHARE = 8
"""new thoughts wait until an eighth of the slots is free, so that their prompts are run together"""


def hf_version() -> str:
    """This engine's part of a protocol hash."""
    return f"hf transformers {transformers.__version__} torch {torch.__version__}"


class Steps(Typed):
    """How thoughts advance: `active[i]` has slot i of the cache; `close` frees device memory."""

    def advance(self, active: list[ForcedThought]) -> None: ...

    def close(self) -> None: ...


MakeSteps = Callable[[SlotForward, SlotCache, Protocol], Steps]


def by_device(forward: SlotForward, cache: SlotCache, protocol: Protocol) -> Steps:
    """One step at a time on a CPU; on a GPU blocks of steps by CUDA graphs."""
    if forward.model.device.type == "cuda":
        return BlockSteps(forward, cache, protocol, captures=True)
    return without_graphs(forward, cache, protocol)


def without_graphs(forward: SlotForward, cache: SlotCache, protocol: Protocol) -> Steps:
    """The same, without graphs."""
    if forward.model.device.type == "cpu":
        return SingleSteps(forward, cache, protocol)
    return BlockSteps(forward, cache, protocol, captures=False)


def is_row_invariant(model: PreTrainedModel) -> bool:
    """Whether every product must have the same number of rows, so that a thought has the same bits in any batch.

    A GPU library uses different kernels for different numbers of rows, and kernels round differently.
    """
    return torch.are_deterministic_algorithms_enabled() and model.device.type == "cuda"


class HFEngine:
    """Thinks on a loaded transformers model. The caller sets evaluation mode and gathers weights (`eval.quiet`).

    At most `batch_size` thoughts are decoded concurrently, fewer if they would take more than `limit_bytes`.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        protocol: Protocol,
        batch_size: int,
        limit_bytes: int = LIMIT_BYTES,
        make_steps: MakeSteps = by_device,
    ) -> None:
        self.model, self.protocol, self.batch_size, self.limit_bytes = model, protocol, batch_size, limit_bytes
        self.make_steps, self.pace = make_steps, Pace()

    @torch.inference_mode()  # `eval.quiet` copies tensors cached by the model here, which autograd would refuse
    def think(self, requests: Sequence[Request]) -> Iterator[Thought | Missing]:
        """Yields each thought as it ends. Long prompts go first, so that rows of similar length are neighbours.

        Raises UserError if the engine does not agree with the model's own forward (`eval.engines.own_forward`). If the
        device runs out of memory nevertheless, decoding continues with half as many rows; a thought that does not fit
        even alone is missing.
        """
        if not requests:
            return
        waiting = deque(sorted(requests, key=lambda r: -r.longest_prompt_tokens))
        active: list[ForcedThought] = []
        layout = self._layout(waiting)
        windows = agreed_windows(self.model, self.protocol.vocabulary_size, layout.capacity)
        forward = SlotForward(self.model, windows)
        while waiting or active:
            try:
                yield from self._decode(forward, waiting, active, layout)
            except torch.OutOfMemoryError:
                if layout.slots == 1:
                    lost = active.pop().request if active else waiting.popleft()
                    yield Missing(lost.problem, lost.sample, f"out of memory at {layout.capacity} tokens, alone")
                # Thoughts restart from their prompts; each has its own random stream, so the results are the same.
                waiting.extendleft(thought.request for thought in reversed(active))
                active.clear()
                layout = replace(layout, slots=max(1, layout.slots // 2))

    def _layout(self, waiting: Sequence[Request]) -> SlotLayout:
        capacity = row_tokens(self.protocol, waiting[0].longest_prompt_tokens)
        most = FIXED_ROWS if is_row_invariant(self.model) else min(self.batch_size, len(waiting))
        return lay_out_slots(self.model, self.protocol, capacity, most, self.limit_bytes)

    def _decode(
        self, forward: SlotForward, waiting: deque[Request], active: list[ForcedThought], layout: SlotLayout
    ) -> Iterator[Thought]:
        """Continuous batching: free slots take the next requests while the others continue.

        `active[i]` has slot i. Both lists belong to the caller, so that it knows what was in progress if memory runs
        out.
        """
        cache = make_cache(self.model.config.get_text_config(), layout.slots, layout.capacity)
        steps: Steps = (
            StateSteps(forward, cache, self.protocol)
            if isinstance(cache, StateCache)
            else self.make_steps(forward, cache, self.protocol)
        )
        try:
            yield from self._run(steps, forward, waiting, active, cache)
        finally:
            steps.close()

    def _run(
        self,
        steps: Steps,
        forward: SlotForward,
        waiting: deque[Request],
        active: list[ForcedThought],
        cache: SlotCache,
    ) -> Iterator[Thought]:
        slots = cache.slots
        while active or waiting:
            free = slots - len(active)
            if waiting and free >= max(1, slots // REFILL_SHARE):
                fresh = [ForcedThought(waiting.popleft(), self.protocol) for _ in range(min(free, len(waiting)))]
                active += fresh
                prefill(forward, fresh, cache, len(active) - len(fresh))
            before = [thought.length for thought in active]
            started = time.perf_counter()
            steps.advance(active)
            # at the beginning of an answer a thought goes back to its budget; that does not count as a token
            tokens = sum(max(thought.length - length, 0) for thought, length in zip(active, before, strict=True))
            self.pace.add(time.perf_counter() - started, tokens, len(active) / slots)
            beat(tokens)
            # From the last slot down, so that the thought that moves into a free slot has been handled already.
            for slot in range(len(active) - 1, -1, -1):
                if active[slot].done:
                    yield active[slot].thought()
                    last = active.pop()
                    if slot < len(active):
                        active[slot] = last
                        cache.move(len(active), slot, last.length)


def prefill(forward: SlotForward, fresh: list[ForcedThought], cache: SlotCache, first_slot: int) -> None:
    """Runs all prompt tokens but the last; the first step feeds that one, since only its logits are needed."""
    # a state that reads the padding of a shorter row would be wrong
    most_rows = 1 if is_row_invariant(forward.model) or forward.has_states else PREFILL_ROWS
    heads = [thought.queue[:-1] for thought in fresh]
    for thought in fresh:
        thought.length, thought.queue = len(thought.queue) - 1, thought.queue[-1:]
    for start, stop in prefill_chunks([len(head) for head in heads], most_rows):
        forward.prefill(heads[start:stop], cache, first_slot + start)


def prefill_chunks(lengths: Sequence[int], most_rows: int = PREFILL_ROWS) -> Iterator[tuple[int, int]]:
    """(first, last + 1) of neighbouring prompts that are run together: at most 32, and 4,096 tokens with padding.

    Prompts without a token to run are left out; a longer one is run alone.
    """
    start = 0
    while start < len(lengths):
        stop, longest = start, 0
        while stop < len(lengths) and stop - start < most_rows:
            longest = max(longest, lengths[stop])
            if stop > start and longest * (stop - start + 1) > PREFILL_TOKENS:
                break
            stop += 1
        if max(lengths[start:stop]):
            yield start, stop
        start = stop
