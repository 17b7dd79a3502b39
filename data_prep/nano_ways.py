"""The second embedded world, "ways": the chains of the first, which may be solved in several valid ways.

The unpruned model is taught three ways, one drawn for each thought:

- quick    one step per operation, `#i operation before after`
- careful  blocks of 1 to 4 steps, each repeated after `check`; `= a b ok|no` compares the two results, and on `no`
the block is repeated, until two results in a row agree (at most 4 times)
- final    the whole chain, repeated after `again` in the same way (at most 3 times)

Two foreign ways occur in traces only, and are never taught to the unpruned model:

- foreign_order    the quick way with each step as `before #i after operation`
- foreign_verbose  the quick way with each operation in small steps: `+3` as three times `+1`, `*4` as `*2 *3 *4`

Thoughts have slips: in any way, a written result is wrong with probability 0.03, and all later steps build on it. So
long chains often go wrong (errors compound), and careful thoughts, which are longer, less often. A step may be followed
by a word without meaning (so, then, now). Questions, answers and the held-out part are those of `data_prep.nano_world`,
with 2 to 16 operations. Everything is made from a seed.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Literal, get_args

from data_prep.nano_world import (
    LONGEST,
    MIN_OPERATIONS,
    MODULUS,
    apply_operation,
    draw_chain,
    is_held_out,
    solve_chain,
)
from data_prep.trace import Trace

Way = Literal["quick", "careful", "final", "foreign_order", "foreign_verbose"]
WAYS: tuple[Way, ...] = get_args(Way)
TAUGHT: dict[Way, float] = {"quick": 0.45, "careful": 0.35, "final": 0.2}
"""the ways of the unpruned model, with the share of its thoughts in each"""
Answers = Literal["any", "right", "wrong", "shuffled"]
MOST_TRIES = 64
"""number of thoughts on one question that may have another outcome than wanted, before another question is drawn"""
MAX_OPERATIONS = LONGEST["ways"]
SLIP, FILLER = 0.03, 0.15
FILLERS = ("so", "then", "now")
LONGEST_BLOCK = 4
MOST_PASSES = {"check": 4, "again": 3}
"""largest number of times that a block (after `check`) or the whole chain (after `again`) is done"""
WORDS = (*MOST_PASSES, "=", "ok", "no", *FILLERS)
"""the words that the first world does not have"""

Step = tuple[str, str]
"""label and operation, such as `#1` and `+3`"""


def steps_of(question: str) -> tuple[int, list[Step]]:
    """The first value and the steps of a chain question."""
    words = question.split()
    return int(words[1]), list(zip(words[2:-1:2], words[3:-1:2], strict=True))


def slip(value: int, rng: random.Random) -> int:
    """`value`, or with probability 0.03 one of the ten others, all equally likely."""
    if rng.random() >= SLIP:
        return value
    return (value + rng.randrange(1, MODULUS)) % MODULUS


def _step(step: Step, before: int, rng: random.Random) -> tuple[list[str], int]:
    label, operation = step
    after = slip(apply_operation(operation, before), rng)
    return [label, operation, str(before), str(after)], after


def _foreign_order(step: Step, before: int, rng: random.Random) -> tuple[list[str], int]:
    (label, operation, first, second), after = _step(step, before, rng)
    return [first, label, second, operation], after


def _foreign_verbose(step: Step, before: int, rng: random.Random) -> tuple[list[str], int]:
    label, operation = step
    sign, operand = operation[0], int(operation[1:])
    # `*4` of 10 as `*2 10 9 *3 9 8 *4 8 7`: each adds the first value to the product before it
    small = [f"*{count}" for count in range(2, operand + 1)] if sign == "*" else [f"{sign}1"] * operand
    change = {"+": 1, "-": -1, "*": before}[sign]
    words, value = [label], before
    for name in small:
        old, value = value, slip((value + change) % MODULUS, rng)
        words += [name, str(old), str(value)]
    return words, value


WriteStep = Callable[[Step, int, random.Random], tuple[list[str], int]]
"""from a value to the words of a step that begins there, and the value that it ends with"""


def _pass(steps: Sequence[Step], value: int, rng: random.Random, write: WriteStep) -> tuple[list[str], int]:
    """The steps in order; some are followed by a word without meaning."""
    words: list[str] = []
    for step in steps:
        more, value = write(step, value, rng)
        words += more
        if rng.random() < FILLER:
            words.append(rng.choice(FILLERS))
    return words, value


def _checked(steps: Sequence[Step], value: int, rng: random.Random, mark: str) -> tuple[list[str], int]:
    """The steps, and after `mark` again from the same value, until two results in a row agree."""
    words, last = _pass(steps, value, rng, _step)
    for _ in range(1, MOST_PASSES[mark]):
        more, result = _pass(steps, value, rng, _step)
        words += [mark, *more, "=", str(last), str(result), "ok" if last == result else "no"]
        if last == result:
            break
        last = result
    return words, result


def _careful(steps: Sequence[Step], value: int, rng: random.Random) -> tuple[list[str], int]:
    words: list[str] = []
    while steps:
        length = rng.randint(1, LONGEST_BLOCK)
        more, value = _checked(steps[:length], value, rng, "check")
        words, steps = words + more, steps[length:]
    return words, value


def think(way: Way, question: str, rng: random.Random) -> tuple[str, str]:
    """(thinking, answer) of a chain question, with slips; the answer is the last result written."""
    value, steps = steps_of(question)
    if way == "careful":
        words, answer = _careful(steps, value, rng)
    elif way == "final":
        words, answer = _checked(steps, value, rng, "again")
    else:
        write = {"quick": _step, "foreign_order": _foreign_order, "foreign_verbose": _foreign_verbose}[way]
        words, answer = _pass(steps, value, rng, write)
    return " ".join(words), str(answer)


def draw_way(rng: random.Random) -> Way:
    """One of the ways that the unpruned model is taught, drawn by their shares."""
    return rng.choices(list(TAUGHT), weights=list(TAUGHT.values()))[0]


def draw_ways_question(rng: random.Random) -> str:
    """A chain question of 2 to 16 operations that is not held out."""
    question = draw_chain(rng, MIN_OPERATIONS, MAX_OPERATIONS)
    while is_held_out(question):
        question = draw_chain(rng, MIN_OPERATIONS, MAX_OPERATIONS)
    return question


def ways_trace(way: Way, question: str, rng: random.Random) -> Trace:
    """One thought about `question`, with the answer that it comes to, right or wrong."""
    thinking, answer = think(way, question, rng)
    return Trace(
        id=hashlib.sha256(f"{question} {thinking}".encode()).hexdigest()[:12],
        question=question,
        thinking=thinking,
        answer=f"answer {answer}",
        source=f"ways/{way}",
    )


def ways_traces(way: Way | Literal["world"], answers: Answers, size: int, seed: int) -> list[Trace]:
    """`size` traces about questions that are not held out, made from `seed`.

    way: `world` draws one of the taught ways for each. answers: `any` takes the first thought; `right` and `wrong` draw
    thoughts on a question until one ends that way; `shuffled` is `any` with each thought and its answer moved to the
    next trace's question. The questions are the same for every way, except for those that `wrong` gives up.
    """
    questions, rng = random.Random(f"ways questions {seed}"), random.Random(f"ways thoughts {way} {answers} {seed}")
    traces: list[Trace] = []
    while len(traces) < size:
        question, chosen = draw_ways_question(questions), draw_way(rng) if way == "world" else way
        thoughts = (ways_trace(chosen, question, rng) for _ in range(MOST_TRIES))
        wanted = next((trace for trace in thoughts if _is_wanted(trace, answers)), None)
        traces += [wanted] if wanted else []
    return list(_shuffled(traces)) if answers == "shuffled" else traces


def _is_wanted(trace: Trace, answers: Answers) -> bool:
    is_right = trace.answer == f"answer {solve_chain(trace.question)[1]}"
    return answers in ("any", "shuffled") or is_right == (answers == "right")


def _shuffled(traces: Sequence[Trace]) -> Iterator[Trace]:
    """Each question with the thought and answer of the trace before it (the first with the last one's)."""
    for number, trace in enumerate(traces):
        other = traces[number - 1]
        yield replace(trace, thinking=other.thinking, answer=other.answer)
