"""Engines that complete whole texts elsewhere: the state machine of `eval.budget_forcing` driven by completions.

A completer returns many tokens at once. The machine accepts them one by one, switches to an answer at a budget (one
more completion), and then returns to the thinking tokens that it has not used yet. So all engines follow one protocol,
and a thought costs one completion, plus one per answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from typing import Protocol as Interface

from data_prep.tokens.marks import Mark, exactly
from eval.budget_forcing import ForcedThought
from eval.engines.pace import Pace
from eval.protocol import Protocol
from eval.streams import uniforms
from eval.types import Missing, Request, Thought
from runtime.pulse import beat


@dataclass(frozen=True)
class Call:
    """One completion request: the tokens before it, its maximum length, and its own seed.

    ends: marks, each of which ends it; banned_ids: tokens that must not be generated.
    """

    prompt_ids: tuple[int, ...]
    max_tokens: int
    ends: tuple[Mark, ...]
    banned_ids: tuple[int, ...]
    seed: int


@dataclass(frozen=True)
class Completion:
    """The generated tokens, including the end mark if one ended them. Tokens after an end are ignored."""

    ids: tuple[int, ...]


@dataclass(frozen=True)
class Failure:
    """A call that returned nothing after all retries, and why."""

    reason: str


class Completer(Interface):
    """Works on up to `width` calls at once and returns each result as soon as it is finished.

    `close` ends everything that is running, including calls in progress, and leaves no thread or process behind; it may
    be called at any time.
    """

    width: int

    def start(self, key: int, call: Call) -> None:
        """Starts a call and returns at once."""

    def finished(self) -> tuple[int, Completion | Failure]:
        """Waits for the next call to finish, in any order."""

    def close(self) -> None: ...


class DrivenThought:
    """One thought whose tokens arrive in completions. `call`: the next completion it needs; None when finished."""

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
        """Uses the tokens of the completion of `call`."""
        if self.machine.answering:
            self._answer = list(completion.ids)
        else:
            self._thinking, self._thinking_context = list(completion.ids), list(self._context)
        self._advance()

    def _advance(self) -> None:
        """Feeds the machine until it is done or needs tokens that have not arrived yet."""
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
                self._answer = []  # tokens that an earlier completion returned after the end of its answer

    def _feed(self) -> None:
        machine = self.machine
        if machine.queue:
            self._context = self._context[: machine.length] + machine.queue
            machine.length, machine.queue = len(self._context), []

    def _known_token(self) -> int | None:
        """The next token, if a completion has returned it already."""
        if self.machine.answering:
            # If an answer completes a mark of plain text, its rest is void: the call did not know the mark.
            if self._answer and self._answer[0] in self.machine.banned_ids:
                self._answer = []
            return self._answer.pop(0) if self._answer else None
        # After an answer, the machine is back in the middle of a thought whose completion reaches further than it has
        # read. An extension leaves that completion (a wait text replaces the close), and a new one is needed.
        ahead = len(self._context) - len(self._thinking_context)
        fits = 0 <= ahead < len(self._thinking) and self._context == self._thinking_context + self._thinking[:ahead]
        return self._thinking[ahead] if fits else None

    def _next_call(self) -> Call:
        rules, machine = self.protocol, self.machine
        self._calls += 1
        (uniform,) = uniforms(1, rules.seed, self.request.problem, self.request.sample, "call", self._calls)
        seed = int(uniform * 2**31)
        stops = tuple(exactly([token]) for token in rules.format.stop_ids)
        if machine.answering:
            banned = machine.banned_ids
            # Tokens that would complete a mark are banned for one token only, but endpoints ban for a whole call.
            most = machine.answer_tokens_left if banned == rules.format.banned_ids else 1
            return Call(tuple(self._context), most, stops, banned, seed)
        # one close length beyond the budget: the machine reads on there, and would otherwise need another call
        mark = rules.format.close_mark
        left = max(1, rules.budgets[-1] - (len(self._context) - machine.prompt_tokens) + len(mark))
        return Call(tuple(self._context), left, (mark, *stops), (), seed)


class CompletionEngine:
    """Thinks through a completer, with as many concurrent thoughts as its width."""

    def __init__(self, completer: Completer, protocol: Protocol) -> None:
        self.completer, self.protocol, self.pace = completer, protocol, Pace()

    def think(self, requests: Sequence[Request]) -> Iterator[Thought | Missing]:
        """Yields each thought as soon as it is finished; a thought with a failed call is missing, never wrong.

        No thought waits for another: its next call starts when its last one has finished, and the next request starts
        when a thought has ended. If the caller stops early, the completer is closed.
        """
        waiting, keys = iter(requests), count()
        active: dict[int, DrivenThought] = {}
        try:
            while True:
                for request in islice(waiting, self.completer.width - len(active)):
                    key = next(keys)
                    active[key] = DrivenThought(request, self.protocol)
                    self._start_call(key, active[key])
                if not active:
                    return
                key, completion = self.completer.finished()
                beat(0 if isinstance(completion, Failure) else len(completion.ids))
                result = self._take(key, active[key], completion)
                if result is not None:
                    del active[key]
                    yield result
        except BaseException:  # also an interrupt, and a caller that stops early
            self.completer.close()
            raise

    def _take(self, key: int, thought: DrivenThought, completion: Completion | Failure) -> Thought | Missing | None:
        """The thought if this completion ends it; None if it continues."""
        if isinstance(completion, Failure):
            return Missing(thought.request.problem, thought.request.sample, completion.reason)
        thought.take(completion)
        if thought.call is None:
            return thought.machine.thought()
        self._start_call(key, thought)
        return None

    def _start_call(self, key: int, thought: DrivenThought) -> None:
        assert thought.call is not None
        self.completer.start(key, thought.call)
