"""Grading: the text after the last close against the gold answer, by rule or by math-verify in a process that can be killed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass

MATH_SECONDS = 8
LONGEST_ANSWER = 20_000
INTEGER = re.compile(r"-?\d[\d,]*")
AFTER_CUE = re.compile(r"answer\s*(?:is|:|=)?\s*(.+)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Grade:
    """correct, what was taken for the answer, and why it was judged so."""

    correct: bool
    extracted: str
    reason: str


def grader_version(grader: str) -> str:
    """What a protocol hash says of a grader."""
    if grader != "math":
        return f"{grader} 1"
    from importlib.metadata import version

    return f"math-verify {version('math-verify')}"


def grade_all(texts: Sequence[str], golds: Sequence[str], grader: str) -> list[Grade]:
    """One grade a text, in order. `grader` is exact, integer or math."""
    if grader == "math":
        return _grade_math(texts, golds)
    rule: Callable[[str, str], Grade] = {"exact": grade_exact, "integer": grade_integer}[grader]
    return [rule(text[-LONGEST_ANSWER:], gold) for text, gold in zip(texts, golds, strict=True)]


def grade_exact(text: str, gold: str) -> Grade:
    """Equal after folding case and white space; the answer is the last box, else what follows the word answer, else all."""
    extracted = last_box(text)
    if extracted is None:
        match = AFTER_CUE.search(text)
        extracted = match.group(1) if match else text
    extracted = " ".join(extracted.split()).rstrip(".")
    return _judge(extracted.casefold() == " ".join(gold.split()).casefold(), extracted)


def grade_integer(text: str, gold: str) -> Grade:
    """The last integer of the last box (of the whole text where there is none) equals the gold one; leading zeros do not count."""
    found = INTEGER.findall(last_box(text) or text)
    if not found:
        return Grade(False, "", "no integer")
    extracted = found[-1].replace(",", "")
    return _judge(int(extracted[-400:]) == int(gold.replace(",", "")), extracted[-400:])


def _judge(correct: bool, extracted: str) -> Grade:
    return Grade(correct, extracted, "equal" if correct else "differs" if extracted else "no answer")


def last_box(text: str) -> str | None:
    r"""What the last complete `\boxed{…}` holds, braces balanced; None where there is none."""
    start = text.rfind("\\boxed{")
    while start >= 0:
        depth = 0
        for i in range(start + 6, len(text)):
            depth += {"{": 1, "}": -1}.get(text[i], 0)
            if depth == 0:
                return text[start + 7:i]
        start = text.rfind("\\boxed{", 0, start)
    return None


def _grade_math(texts: Sequence[str], golds: Sequence[str]) -> list[Grade]:
    """math-verify in one worker process; an answer that takes too long kills the worker and is wrong by time-out."""
    from multiprocessing import get_context

    from pebble import ProcessExpired, ProcessPool

    grades = []
    with ProcessPool(max_workers=1, context=get_context("spawn")) as pool:
        futures = [pool.schedule(verify_math, (text[-LONGEST_ANSWER:], gold), timeout=MATH_SECONDS)
                   for text, gold in zip(texts, golds, strict=True)]
        for future in futures:
            try:
                grades.append(Grade(*future.result()))
            except (FutureTimeout, ProcessExpired) as fault:
                grades.append(Grade(False, "", f"grader gave up: {type(fault).__name__}"))
        pool.close()
    return grades


def verify_math(text: str, gold: str) -> tuple[bool, str, str]:
    """(correct, extracted, reason) by math-verify; the last box alone is read where there is one. Runs in a worker process."""
    from math_verify import parse, verify

    box = last_box(text)
    extracted = text if box is None else f"\\boxed{{{box}}}"
    answer = parse(extracted, parsing_timeout=None)
    if not answer:
        return False, "", "no answer"
    correct = bool(verify(parse(f"${gold}$", parsing_timeout=None) or parse(gold, parsing_timeout=None), answer, timeout_seconds=None))
    return correct, str(answer[-1])[:200], "equal" if correct else "differs"
