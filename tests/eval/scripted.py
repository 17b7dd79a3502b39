"""A model that is a plain function of the tokens before, a loop round it, and the protocol for one budget spelled out.

`reference` is the independent road: it knows one budget only, keeps no cache and asks the model about whole sequences.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

from data_prep.tokens.marks import Mark
from data_prep.tokens.prompts import ThinkFormat
from eval.budget_forcing import ForcedThought
from eval.looping import is_looping
from eval.protocol import Protocol
from eval.types import Request, Thought

EOS, OPEN, CLOSE, CUE, LINE, TAIL, WAIT_A, WAIT_B = 3, 6, 7, 8, 9, 10, 11, 12
FORMAT = ThinkFormat(
    open="<t>",
    close="</t>",
    cue="c",
    wait="w",
    stop="<eos>",
    close_mark=((CLOSE,),),
    forced_close_ids=(LINE, CLOSE, TAIL, CUE),
    own_close_ids=(CLOSE, TAIL, CUE),
    wait_ids=(WAIT_A, WAIT_B),
    banned_ids=(OPEN, CLOSE),
    stop_ids=(EOS,),
)
REQUEST = Request(problem="p", sample=0, prompt_ids=(1, 2, OPEN), off_ids=(1, 2, OPEN, LINE, CLOSE, CUE))

Choose = Callable[[tuple[int, ...], frozenset[int], float], int]
"""The next token for (all tokens before, tokens that are banned, the uniform number)."""


def make_protocol(budgets: Sequence[int], fmt: ThinkFormat = FORMAT, **changes: Any) -> Protocol:
    values: dict[str, Any] = {
        "answer_tokens": 3,
        "extend_to": 0,
        "max_extensions": 0,
        "temperature": 0.0,
        "top_p": 1.0,
        "top_k": 0,
        "min_p": 0.0,
        "seed": 0,
        "vocabulary_size": 112,
    }
    return Protocol(budgets=tuple(budgets), format=fmt, **{**values, **changes})


def summing(before: tuple[int, ...], banned: frozenset[int], uniform: float) -> int:
    """A model without weights: now and then it closes, and its answers end by themselves or not."""
    token = (sum(before) * 7 + len(before)) % 19
    token = {0: CLOSE, 1: EOS}.get(token, 20 + token)
    return token if token not in banned else LINE


def drive(choose: Choose, protocol: Protocol, request: Request = REQUEST) -> Thought:
    """Decodes one thought on a list of cache cells that is overwritten and cut as the machine says."""
    thought, cells = ForcedThought(request, protocol), list[int]()
    while not thought.done:
        while thought.queue:
            assert thought.length <= len(cells), "a gap in the cache"
            cells[thought.length :] = [thought.queue.pop(0)]
            thought.length += 1
        thought.accept(choose(tuple(cells[: thought.length]), frozenset(thought.banned_ids), thought.uniform))
    return thought.thought()


def reference(
    choose: Choose, protocol: Protocol, request: Request = REQUEST
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(thinking that counts, answer) at the only budget of `protocol`, greedily."""
    (budget,), fmt = protocol.budgets, protocol.format
    if budget == 0:
        return (), _answer(choose, protocol, list(request.off_ids))
    mark, thinking, forced, extensions = fmt.close_mark, list[int](), list[int](), 0
    while True:
        closed, ended = stands_at_the_end(thinking, mark), False
        loops = protocol.stop_loops and not closed and is_looping(thinking)
        if not closed and not loops and len(thinking) < budget:
            token = forced.pop(0) if forced else choose((*request.prompt_ids, *thinking), frozenset(), 0.0)
            ended = token in fmt.stop_ids
            if not ended:
                thinking.append(token)
                continue
        if closed:
            del thinking[-len(mark) :]
        if (closed or ended) and len(thinking) < protocol.extend_to and extensions < protocol.max_extensions:
            forced, extensions = list(fmt.wait_ids), extensions + 1
            continue
        break
    if not closed and not ended:
        cut = [n for n in range(1, len(mark)) if stands_at_the_end(thinking, mark[:n])]
        thinking = thinking[: len(thinking) - max(cut, default=0)]
    closing = fmt.own_close_ids if closed else fmt.forced_close_ids
    return tuple(thinking), _answer(choose, protocol, [*request.prompt_ids, *thinking, *closing])


def stands_at_the_end(ids: Sequence[int], mark: Mark) -> bool:
    """Whether the last tokens write the mark: tried against every spelling of it, spelled out."""
    return tuple(ids[-len(mark) :]) in set(product(*mark)) if mark else True


def _answer(choose: Choose, protocol: Protocol, context: list[int]) -> tuple[int, ...]:
    answer: list[int] = []
    while len(answer) < protocol.answer_tokens:
        banned = set(protocol.format.banned_ids)
        for mark in protocol.format.banned_marks:
            banned |= {token for token in mark[-1] if stands_at_the_end([*answer, token], mark)}
        token = choose((*context, *answer), frozenset(banned), 0.0)
        if token in protocol.format.stop_ids:
            break
        answer.append(token)
    return tuple(answer)


def by_budget(thought: Thought) -> dict[int, tuple[tuple[int, ...], tuple[int, ...]]]:
    """(thinking that counts, answer) of every budget; a budget that is served twice is an error."""
    rows = [(budget, answer) for answer in thought.answers for budget in answer.budgets]
    assert len(dict(rows)) == len(rows), f"a budget is served twice: {[budget for budget, _ in rows]}"
    return {budget: (thought.thinking_ids[: answer.thinking_tokens], answer.answer_ids) for budget, answer in rows}
