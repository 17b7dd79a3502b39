"""Budget forcing of one thought as a state machine, independent of any model: an engine feeds it the chosen tokens.

The thought is decoded once. At each budget, the machine interrupts it: it remembers the next thinking token, has the
close and the cue fed, collects the answer, and then returns to the thought by shortening the cache to its earlier
length. So K budgets cost one thought and K answers, need no copy of the cache, and give the tokens of K separate runs.

Budget 0 comes first: the answer with thinking off is decoded after a prompt of its own (`off_ids`), and the thought
begins where the two prompts differ. A loop (`stop_loops`) ends a thought like a budget, for all remaining budgets.

A thought that has exactly the length of a budget and closes with its very next tokens counts as closed there. So after
the answer at the largest budget, the machine reads on only while the following tokens may still be a close.

How an engine drives it: feed the tokens of `queue` from position `length` on (`length` grows by their number, and the
queue is then empty); choose a token from the last logits (with the random number `uniform`, excluding `banned_ids`);
call `accept(token)`; repeat until `done`.
"""

from __future__ import annotations

from itertools import takewhile

import numpy as np

from data_prep.tokens.marks import begun, completing, ends_with
from eval.looping import LoopWatcher
from eval.protocol import Protocol
from eval.streams import uniforms
from eval.types import Answer, Request, Stop, Thought


class ForcedThought:
    """One thought in progress.

    length: number of valid tokens in the cache; queue: tokens to feed next; done: the thought and all its answers are
    finished.
    """

    def __init__(self, request: Request, protocol: Protocol) -> None:
        self.request, self.protocol = request, protocol
        self.prompt_tokens = len(request.prompt_ids)
        self.length = 0
        self.queue = list(request.prompt_ids)
        self.done = False
        self.answering = False
        self._thinking: list[int] = []
        self._forced: list[int] = []  # the rest of a wait text, used instead of the model's own tokens
        self._stop: Stop | None = None  # why the thought ended; None while it may continue
        self._extensions = 0
        self._pending = list(protocol.budgets)  # those without an answer yet
        self._answers: list[Answer] = []
        self._answer: list[int] = []
        self._served: tuple[int, ...] = ()  # budgets of the answer in progress
        self._kept = 0  # thinking tokens before that answer
        self._next: int | None = None  # the thinking token chosen at the budget that interrupted the thought
        # After the last budget a close may still be read; at least one token is chosen there.
        self._think_stream = self._uniforms(protocol.budgets[-1] + len(protocol.format.close_mark), "think")
        self._answer_stream = np.empty(0)
        self._watcher = LoopWatcher()
        if self._pending[0] == 0:
            self._begin_without_thinking()

    def _uniforms(self, count: int, *purpose: object) -> np.ndarray:
        if self.protocol.temperature == 0:
            return np.zeros(count)
        return uniforms(count, self.protocol.seed, self.request.problem, self.request.sample, *purpose)

    def _begin_without_thinking(self) -> None:
        assert self.request.off_ids, "budget 0 needs a prompt with thinking off"
        self._begin_answer((self._pending.pop(0),), 0, ())
        self.length, self.queue = 0, list(self.request.off_ids)  # close and cue are part of this prompt
        self._stop = None if self._pending else "budget"

    @property
    def uniform(self) -> float:
        """The random number in [0, 1) for choosing the token after the last fed one."""
        if self.answering:
            return float(self._answer_stream[len(self._answer)])
        return float(self._think_stream[len(self._thinking)])

    def uniforms_ahead(self, count: int) -> np.ndarray:
        """The random numbers of the next `count` choices if no answer begins or ends before them; 0 beyond the end."""
        stream, used = (
            (self._answer_stream, len(self._answer)) if self.answering else (self._think_stream, len(self._thinking))
        )
        ahead = stream[used : used + count]
        return np.concatenate([ahead, np.zeros(count - len(ahead))])

    @property
    def banned_ids(self) -> tuple[int, ...]:
        """The tokens that must not be chosen next: in an answer, thinking tags and tokens that would complete one."""
        if not self.answering:
            return ()
        fmt = self.protocol.format
        return fmt.banned_ids + completing(self._answer, fmt.banned_marks)

    @property
    def answer_tokens_left(self) -> int:
        """The number of tokens that the answer in progress may still have."""
        return self.protocol.answer_tokens - len(self._answer)

    def accept(self, token: int) -> None:
        """Accepts the token chosen from the logits after the last token of the queue."""
        if self.answering:
            self._accept_answer(token)
        elif self._next is not None:
            self._resume()  # these tokens only refilled the cache; the one after them has been chosen already
        elif self._pending and len(self._thinking) == self._pending[0]:
            self._cut(token)
        else:
            self._accept_thinking(token)

    def thought(self) -> Thought:
        """The finished thought; call only when `done`."""
        assert self._stop is not None
        return Thought(
            problem=self.request.problem,
            sample=self.request.sample,
            thinking_ids=tuple(self._thinking),
            stop=self._stop,
            extensions=self._extensions,
            answers=tuple(self._answers),
        )

    def _accept_thinking(self, token: int) -> None:
        if self._forced:
            token = self._forced.pop(0)
        elif token in self.protocol.format.stop_ids:
            self._end_by_itself("eos", len(self._thinking))
            return
        self._thinking.append(token)
        mark = self.protocol.format.close_mark
        if ends_with(self._thinking, mark):
            self._end_by_itself("close", len(self._thinking) - len(mark))
        elif self.protocol.stop_loops and self._watcher.add(token):
            # As at a budget: a partial close mark must not precede the forced close.
            self._answer_all("loop", len(self._thinking) - self._partial_mark())
        elif self._pending or len(self._thinking) - self._partial_mark() <= self.protocol.budgets[-1]:
            self.queue = [token]  # also beyond the last budget, while a close may begin there
        else:
            self._finish("budget", self.protocol.budgets[-1])  # the tokens after the last budget were not a close

    def _end_by_itself(self, stop: Stop, kept: int) -> None:
        """The model terminated its thought after `kept` tokens: extend it, or answer for all remaining budgets."""
        is_extended = kept < self.protocol.extend_to and self._extensions < self.protocol.max_extensions
        if not self._pending:
            is_closed = stop == "close" and not is_extended
            self._finish("close" if is_closed else "budget", kept if is_closed else self.protocol.budgets[-1])
            return
        del self._thinking[kept:]
        self.length = self.prompt_tokens + kept  # the cache has a multi-token close mark except for its last token
        if is_extended:
            self._extensions += 1
            self._forced = list(self.protocol.format.wait_ids)
            self._watcher = LoopWatcher(self._thinking)  # without the tokens of the withdrawn close
            self._accept_thinking(-1)  # takes the first token of the wait text and ignores its argument
            return
        self._answer_all(stop, kept)

    def _answer_all(self, stop: Stop, kept: int) -> None:
        """The thought has ended after `kept` tokens: one answer for all remaining budgets."""
        if not self._pending:
            self._finish("budget", self.protocol.budgets[-1])
            return
        self._stop = stop
        served, self._pending = tuple(self._pending), []
        fmt = self.protocol.format
        self._begin_answer(served, kept, fmt.own_close_ids if stop == "close" else fmt.forced_close_ids)

    def _finish(self, stop: Stop, kept: int) -> None:
        """All budgets have their answers, and the tokens after the last one have been read."""
        del self._thinking[kept:]
        self._stop, self.queue, self.done = stop, [], True

    def _cut(self, following: int) -> None:
        """The thought has reached a budget: answer from here; `following` is its next token."""
        budget = self._pending.pop(0)
        kept = budget - self._partial_mark()
        if self._pending or self._may_close(following):
            self._next = following
        else:
            self._stop = "budget"
        self._begin_answer((budget,), kept, self.protocol.format.forced_close_ids)

    def _may_close(self, following: int) -> bool:
        """Whether this token would end the thought with a close mark or the beginning of one."""
        if self._forced:
            return False  # a wait text is inserted there instead
        mark = self.protocol.format.close_mark
        tail = [*self._thinking[-len(mark) :], following]
        return ends_with(tail, mark) or begun(tail, mark) > 0

    def _partial_mark(self) -> int:
        """The number of trailing tokens that are the beginning of an incomplete close mark."""
        return begun(self._thinking, self.protocol.format.close_mark)

    def _begin_answer(self, served: tuple[int, ...], kept: int, close_ids: tuple[int, ...]) -> None:
        self.answering, self._answer, self._served, self._kept = True, [], served, kept
        self._answer_stream = self._uniforms(self.protocol.answer_tokens, "answer", kept)
        in_cache = min(kept, self.length - self.prompt_tokens)  # the token that completes a loop is not in it yet
        self.length = self.prompt_tokens + in_cache
        self.queue = [*self._thinking[in_cache:kept], *close_ids]

    def _accept_answer(self, token: int) -> None:
        finished = token in self.protocol.format.stop_ids
        if not finished:
            self._answer.append(token)
            if len(self._answer) < self.protocol.answer_tokens:
                self.queue = [token]
                return
        self._answers.append(
            Answer(budgets=self._served, thinking_tokens=self._kept, answer_ids=tuple(self._answer), finished=finished)
        )
        self.answering = False
        self.done = self._stop is not None
        if not self.done:
            self._go_back()

    def _go_back(self) -> None:
        """Returns to the thought after the answer of a budget that was not the last."""
        if self._served == (0,):
            prompt = self.request.prompt_ids
            pairs = zip(prompt, self.request.off_ids, strict=False)
            shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
            # The last prompt token is always fed again: its logits choose the first thinking token.
            self.length = min(shared, len(prompt) - 1)
            self.queue = list(prompt[self.length :])
        else:
            # The answer has overwritten the cache from here on. Tokens of a partial close mark that were left out
            # before the answer are fed again; usually there are none.
            self.length = self.prompt_tokens + self._kept
            self.queue = self._thinking[self._kept :]
            if not self.queue:
                self._resume()

    def _resume(self) -> None:
        """Continues the thought at the point where the budget interrupted it."""
        token, self._next = self._next, None
        assert token is not None
        self._accept_thinking(token)
