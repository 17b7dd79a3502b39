"""Decoding of hybrids one token at a time: where a thought is taken back, its states are put back too.

The machine of a thought says only how many tokens of the cache are valid. Keys and values beyond are overwritten, but
a state has read them. So a copy is kept of the states before the last token of the prompt, and of those where the last
answer began; from the nearest one before, what is missing is fed again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from eval.budget_forcing import ForcedThought
from eval.engines.single_steps import SingleSteps
from eval.engines.slot_forward import SlotForward
from eval.engines.state_cache import StateCache, States
from eval.protocol import Protocol


@dataclass
class Past:
    """What the states of a thought's row have read: `tokens`, by position; copies of them by how many tokens they had
    read; and whether the token before belonged to an answer."""

    tokens: list[int]
    copies: dict[int, States] = field(default_factory=dict)
    answering: bool = False


class StateSteps(SingleSteps):
    """Advances thoughts of a hybrid by one token at a time. `active[i]` has slot i of the cache."""

    def __init__(self, forward: SlotForward, cache: StateCache, protocol: Protocol) -> None:
        super().__init__(forward, cache, protocol)
        self.states = cache
        self.pasts: WeakKeyDictionary[ForcedThought, Past] = WeakKeyDictionary()

    def advance(self, active: list[ForcedThought]) -> None:
        for slot, thought in enumerate(active):
            past = self.pasts.get(thought) or self._begin(slot, thought)
            self._bring_to(slot, thought, past)
            past.tokens.append(thought.queue[0])
        super().advance(active)

    def _begin(self, slot: int, thought: ForcedThought) -> Past:
        """The past of a row that was filled with the tokens of its prompt but the last."""
        request, without = thought.request, thought.protocol.budgets[0] == 0
        prompt = request.off_ids if without else request.prompt_ids
        if not thought.length:  # a prompt of one token: nothing was filled, and another thought had the slot before
            self.states.put(slot, None)
        past = self.pasts[thought] = Past(list(prompt[: thought.length]), answering=thought.answering)
        past.copies[thought.length] = self.states.states(slot)
        return past

    def _bring_to(self, slot: int, thought: ForcedThought, past: Past) -> None:
        """Brings the states to where the thought is."""
        read = len(past.tokens)
        begins_answer = thought.answering and not past.answering
        past.answering = thought.answering
        if read == thought.length and (begins_answer or (not past.copies and len(thought.queue) == 1)):
            oldest = sorted(past.copies)[:1]
            past.copies = {count: past.copies[count] for count in oldest} | {read: self.states.states(slot)}
        if read == thought.length:
            return
        past.copies = {count: states for count, states in past.copies.items() if count <= thought.length}
        start = max(past.copies, default=0)
        self.states.put(slot, past.copies.get(start))
        thought.queue = [*past.tokens[start : thought.length], *thought.queue]
        thought.length = start
        del past.tokens[start:]
