"""Engines that complete whole texts elsewhere: the state machine of `eval.budget_forcing` driven by completions.

A completer is asked for many tokens at once; the machine takes them one by one, goes off to an answer where a budget
is reached (one more completion), and comes back to the thinking tokens it had not used yet. So every engine follows the
one protocol, and a thought costs one completion and one more an answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol as Interface

from eval.budget_forcing import ForcedThought
from eval.protocol import Protocol
from eval.streams import uniforms
from eval.types import Missing, Request, Thought


@dataclass(frozen=True)
class Call:
    """One completion: what stands before it, how many tokens at most, ids that must not come, and a seed of its own."""

    prompt_ids: tuple[int, ...]
    max_tokens: int
    banned_ids: tuple[int, ...]
    seed: int


@dataclass(frozen=True)
class Completion:
    """The tokens that came, the stop token included where one ended them."""

    ids: tuple[int, ...]


@dataclass(frozen=True)
class Failure:
    """A call that gave nothing after all retries, and why."""

    reason: str


class Completer(Interface):
    """Answers calls, all of a round together; the results come in the order of the calls."""

    def complete(self, calls: Sequence[Call]) -> list[Completion | Failure]: ...


class DrivenThought:
    """One thought whose tokens come in completions. `call` says what to ask for next; None where nothing is left."""

    def __init__(self, request: Request, protocol: Protocol) -> None:
        self.machine, self.protocol, self.request = ForcedThought(request, protocol), protocol, request
        self._context: list[int] = []
        self._thinking: list[int] = []
        self._thinking_context: list[int] = []
        self._answer: list[int] = []
        self._calls = 0
        self.call: Call | None = None
        self._advance()

    def take(self, completion: Completion) -> None:
        """Uses the tokens of the completion that `call` asked for."""
        if self.machine.answering:
            self._answer = list(completion.ids)
        else:
            self._thinking, self._thinking_context = list(completion.ids), list(self._context)
        self._advance()

    def _advance(self) -> None:
        """Feeds the machine until it is done or needs tokens that have not come yet."""
        self.call = None
        while not self.machine.done:
            self._feed()
            token = self._known_token()
            if token is None:
                self.call = self._next_call()
                return
            was_answering = self.machine.answering
            self.machine.accept(token)
            if self.machine.answering and not was_answering:
                self._answer = []

    def _feed(self) -> None:
        machine = self.machine
        if machine.queue:
            self._context = self._context[: machine.length] + machine.queue
            machine.length, machine.queue = len(self._context), []

    def _known_token(self) -> int | None:
        """The next token, where a completion has brought it already."""
        if self.machine.answering:
            return self._answer.pop(0) if self._answer else None
        ahead = len(self._context) - len(self._thinking_context)
        fits = 0 <= ahead < len(self._thinking) and self._context == self._thinking_context + self._thinking[:ahead]
        return self._thinking[ahead] if fits else None

    def _next_call(self) -> Call:
        rules, machine = self.protocol, self.machine
        self._calls += 1
        own = uniforms(1, rules.seed, self.request.problem, self.request.sample, "call", self._calls)
        seed = int(own[0] * 2**31)
        if machine.answering:
            return Call(tuple(self._context), rules.answer_tokens, rules.format.banned_ids, seed)
        thought_tokens = len(self._context) - machine.prompt_tokens
        return Call(tuple(self._context), max(1, rules.budgets[-1] - thought_tokens + 1), (), seed)


class CompletionEngine:
    """Thinks through a completer, all thoughts side by side in rounds."""

    def __init__(self, completer: Completer, protocol: Protocol) -> None:
        self.completer, self.protocol = completer, protocol

    def think(self, requests: Sequence[Request]) -> Iterator[Thought | Missing]:
        """Yields each thought as soon as it is whole; a thought with a failed call is missing, never wrong."""
        active = [DrivenThought(request, self.protocol) for request in requests]
        while active:
            calls = [thought.call for thought in active if thought.call is not None]
            results = self.completer.complete(calls)
            going = []
            for thought, result in zip(active, results, strict=True):
                if isinstance(result, Failure):
                    yield Missing(thought.request.problem, thought.request.sample, result.reason)
                    continue
                thought.take(result)
                if thought.call is None:
                    yield thought.machine.thought()
                else:
                    going.append(thought)
            active = going
