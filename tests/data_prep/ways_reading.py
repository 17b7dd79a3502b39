"""Reads thoughts of the world "ways" back, by the description of the ways alone; it shares no code with the writer."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise

ACTS = {"+": lambda a, b: (a + b) % 11, "-": lambda a, b: (a - b) % 11, "*": lambda a, b: (a * b) % 11}
MARKS = {"careful": ("check", 4, 4), "final": ("again", 3, 99)}
"""the mark of each way that checks, the most passes, and the longest block"""


@dataclass
class Reading:
    """The last value, how many results were written and how many of them are wrong, comparisons as (whether both values
    are equal, ok or no), and the lengths of blocks."""

    value: int
    results: int = 0
    slips: int = 0
    comparisons: list[tuple[bool, str]] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)


def read_back(way: str, question: str, thinking: str) -> Reading:
    """What `thinking` says of `question`; AssertionError where it is not of that way or of another question."""
    start, steps = int(question.split()[1]), re.findall(r"(#\d+) (\S+)", question)
    words = [word for word in thinking.split() if word not in ("so", "then", "now")]
    reading = Reading(start)
    if way in MARKS:
        _read_checked(words, steps, reading, way)
    else:
        rest = {"quick": _read_pass, "foreign_order": _read_turned, "foreign_verbose": _read_verbose}[way](
            words, steps, reading
        )
        assert rest == []
    return reading


def _result(sign: str, operand: int, before: int, after: int, reading: Reading) -> None:
    assert before == reading.value
    reading.results += 1
    reading.slips += after != ACTS[sign](before, operand)
    reading.value = after


def _read_pass(words: list[str], steps: list[tuple[str, str]], reading: Reading) -> list[str]:
    """The words after one pass over the steps."""
    for label, operation in steps:
        assert words[:2] == [label, operation]
        _result(operation[0], int(operation[1:]), int(words[2]), int(words[3]), reading)
        words = words[4:]
    return words


def _read_turned(words: list[str], steps: list[tuple[str, str]], reading: Reading) -> list[str]:
    fours = [words[at : at + 4] for at in range(0, len(words), 4)]
    return _read_pass([word for b, label, a, op in fours for word in (label, op, b, a)], steps, reading)


def _read_verbose(words: list[str], steps: list[tuple[str, str]], reading: Reading) -> list[str]:
    for label, operation in steps:
        assert words[0] == label
        operand, first = int(operation[1:]), reading.value
        if operation[0] == "*":
            names, by = [f"*{n}" for n in range(2, operand + 1)], ("+", first)
        else:
            names, by = [f"{operation[0]}1"] * operand, (operation[0], 1)
        for number, name in enumerate(names):
            said, before, after = words[1 + 3 * number : 4 + 3 * number]
            assert said == name
            _result(*by, int(before), int(after), reading)
        words = words[1 + 3 * len(names) :]
    return words


def _read_checked(words: list[str], steps: list[tuple[str, str]], reading: Reading, way: str) -> None:
    mark, most, longest = MARKS[way]
    while steps:
        length, start, values = words.index(mark) // 4, reading.value, []
        assert 1 <= length <= longest and (way == "careful" or length == len(steps))
        reading.blocks.append(length)
        words = _read_pass(words, steps[:length], reading)
        values.append(reading.value)
        while True:
            assert words[0] == mark
            reading.value = start
            words = _read_pass(words[1:], steps[:length], reading)
            values.append(reading.value)
            assert words[:3] == ["=", str(values[-2]), str(values[-1])]
            reading.comparisons.append((values[-2] == values[-1], words[3]))
            words = words[4:]
            if values[-2] == values[-1] or len(values) == most:
                break
        assert all(a != b for a, b in pairwise(values[:-1]))
        steps = steps[length:]
    assert words == []
