"""Decoding of hybrids one token at a time: when a thought returns to an earlier token, its states are restored too.

A thought's state machine only says how many tokens of the cache are valid. Keys and values beyond are overwritten, but
a state has already read them. So copies of the states are kept: before the last token of the prompt, and at the
beginning of the last answer. From the nearest earlier copy, the missing tokens are fed again.
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
    """What the states of a thought's row have read: `tokens`, by position; copies of the states, by the number of
    tokens read; and whether the previous token belonged to an answer."""

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
        """The past of a row that was filled with all tokens of its prompt but the last."""
        request, without = thought.request, thought.protocol.budgets[0] == 0
        prompt = request.off_ids if without else request.prompt_ids
        if not thought.length:  # a prompt of one token: nothing was filled, and the slot has another thought's states
            self.states.put(slot, None)
        past = self.pasts[thought] = Past(list(prompt[: thought.length]), answering=thought.answering)
        past.copies[thought.length] = self.states.states(slot)
        return past

    def _bring_to(self, slot: int, thought: ForcedThought, past: Past) -> None:
        """Brings the states to the thought's position."""
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
