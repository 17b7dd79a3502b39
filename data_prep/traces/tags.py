"""Splitting a text in which tags mark the thought: `split_thought`.

The rule. A text has at most one thought, and begins with it:

    <think>thought</think>answer    both tags
    thought</think>answer           the opening tag was in the prompt
    <think>thought                  never closed: `unclosed`, there is no answer
    answer                          no tag: `absent`, there is no thought

Any other order (a second thought, text before the tag, two closing tags) is a ValueError that shows the order, since
any interpretation would be a guess. The tags are one pair of PAIRS, that of the first tag in the text; others are text.

Tags inside Markdown code (a fenced block, or between backticks on one line) are text too: the text is about them. But
if a fenced block has a closing tag with no opening tag before it in the block, that is the border: the thought left
its fence open. White space that belongs to the tags is removed: all of it before the opening tag and before the
answer; inside the tags only the line breaks of the pair's usual spelling (one; two for OpenThoughts).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal


@dataclass(frozen=True)
class Pair:
    """An opening and a closing tag, and the number of line breaks on the thought's side that belong to each."""

    open: str
    close: str
    breaks: int = 1


@dataclass(frozen=True)
class Thought:
    """A split text. `state` is that of `Trace.thought`; only a whole thought has an answer after it."""

    thinking: str
    answer: str
    state: Literal["whole", "unclosed", "absent"]


PAIRS = (
    Pair("<think>", "</think>"),  # DeepSeek-R1, Qwen3, open-r1
    Pair("<thinking>", "</thinking>"),
    Pair("<|im_start|>think", "<|im_start|>answer"),  # s1
    Pair("<|begin_of_thought|>", "<|end_of_thought|>", breaks=2),  # OpenThoughts, Sky-T1
)
SOLUTION = ("<|begin_of_solution|>", "<|end_of_solution|>")
OPENS, CLOSES = {pair.open: pair for pair in PAIRS}, {pair.close: pair for pair in PAIRS}
TAG = re.compile("|".join(re.escape(tag) + (r"\b" if tag[-1].isalpha() else "") for tag in [*OPENS, *CLOSES]))
FENCES = ("```", "~~~")
BACKTICKS = re.compile("`+")
MOST_SHOWN = 6


@dataclass(frozen=True)
class Code:
    """The position of Markdown code in a text: characters `start` to `end`, a fenced block or a span on one line."""

    start: int
    end: int
    fenced: bool


def split_thought(text: str) -> Thought:
    """Thought and answer of a text, by the rule above; ValueError if the order of the tags is none of the four."""
    stream = _tags(text)
    first = next(stream, None)
    if first is None:
        return Thought("", text, "absent")
    pair = OPENS.get(first.group()) or CLOSES[first.group()]
    tags = [first, *islice((tag for tag in stream if tag.group() in (pair.open, pair.close)), MOST_SHOWN)]
    order = [tag.group() for tag in tags]
    start = tags[0].end() if order[0] == pair.open else 0
    if start and text[: tags[0].start()].strip():
        raise ValueError(f"there is text before {pair.open!r}: {text[: tags[0].start()].strip()[:40]!r}")
    if order == [pair.open]:
        return Thought(_trimmed(text[start:], pair.breaks), "", "unclosed")
    if order not in ([pair.close], [pair.open, pair.close]):
        raise ValueError(
            f"its tags do not mark one thought: {' '.join(order[:MOST_SHOWN])}{' …' if len(order) > MOST_SHOWN else ''}"
        )
    close = tags[-1]
    return Thought(_trimmed(text[start : close.start()], pair.breaks), _answer(text[close.end() :]), "whole")


def unwrap(thinking: str) -> str:
    """A separate thought without its tags: an opening one at its start, a closing one at its end."""
    for pair in PAIRS:
        bare = thinking.strip()
        if bare.startswith(pair.open) or bare.endswith(pair.close):
            return _trimmed(bare.removeprefix(pair.open).removesuffix(pair.close), pair.breaks)
    return thinking


def join_thought(thinking: str | None, text: str) -> Thought:
    """Thought and answer of a row with a separate column or key for the thought, which may be unused (None, blank).

    ValueError if both contain a thought and the two differ.
    """
    inside = split_thought(text)
    if thinking is None:
        return inside
    beside = unwrap(thinking)
    if inside.state == "absent":
        return Thought(beside, text, "whole")
    if beside.strip() and beside.strip() != inside.thinking.strip():
        raise ValueError("it has two thoughts, a separate one and one in tags inside the answer")
    return inside


def _tags(text: str) -> Iterator[re.Match[str]]:
    """The tags that are not inside code, in order."""
    code = _code(text)
    starts = [block.start for block in code]
    opened: dict[str, Code | None] = {}  # closing tag -> the block in which its opening tag was seen last
    for tag in TAG.finditer(text):
        at, name = bisect_right(starts, tag.start()) - 1, tag.group()
        block = code[at] if at >= 0 and tag.start() < code[at].end else None
        if block is None or (block.fenced and name in CLOSES and opened.get(name) is not block):
            yield tag
        elif name in OPENS:
            opened[OPENS[name].close] = block


def _code(text: str) -> list[Code]:
    """The code in a text, in order: fenced blocks that are closed, and between them spans between backticks."""
    if "`" not in text and "~~~" not in text:
        return []
    code: list[Code] = []
    lines: list[tuple[int, str]] = []
    fence: tuple[str, int, int] | None = None  # its three characters, its offset, the number of lines before it
    at = 0
    for line in text.splitlines(keepends=True):
        mark, rest = line.lstrip(" ")[:3], line.lstrip(" ")[3:]
        if fence is not None and mark == fence[0] and not rest.strip(" \t\r\n" + mark[0]):
            del lines[fence[2] :]
            code.append(Code(fence[1], at + len(line), fenced=True))
            fence = None
        elif fence is None and mark in FENCES and "`" not in rest.lstrip("`"):
            fence = (mark, at, len(lines))
        else:
            lines.append((at, line))
        at += len(line)
    spans = [span for start, line in lines if "`" in line for span in _spans(start, line)]
    return sorted([*code, *spans], key=lambda block: block.start)


def _spans(start: int, line: str) -> Iterator[Code]:
    """Code on one line: from a run of backticks to the next run of the same length."""
    opened: re.Match[str] | None = None
    for run in BACKTICKS.finditer(line):
        if opened is None:
            opened = run
        elif len(run.group()) == len(opened.group()):
            yield Code(start + opened.start(), start + run.end(), fenced=False)
            opened = None


def _trimmed(thinking: str, breaks: int) -> str:
    for _ in range(breaks):
        thinking = thinking.removeprefix("\r").removeprefix("\n").removesuffix("\n").removesuffix("\r")
    return thinking


def _answer(text: str) -> str:
    """The text after a thought, without OpenThoughts' solution tags if it has them."""
    answer = text.lstrip()
    if answer.startswith(SOLUTION[0]):
        answer = answer.removeprefix(SOLUTION[0]).strip().removesuffix(SOLUTION[1]).strip()
    return answer
