"""Grading: the text after the last close against the gold answer.

By rule, or by math-verify in a process that can be killed.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

MATH_SECONDS = 8
LONGEST_ANSWER = 20_000
NUMBER = re.compile(r"-?(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?")
LONGEST_EXTRACTED = 400
AFTER_CUE = re.compile(r"answer(?:\s*(?:is\b|:|=))*\s*(.*)", re.IGNORECASE | re.DOTALL)
BRACES = re.compile(r"\\boxed\{|[{}]")


@dataclass(frozen=True)
class Grade:
    """correct, what was taken for the answer, and why it was judged so."""

    correct: bool
    extracted: str
    reason: str


def grader_version(grader: str) -> str:
    """What a protocol hash says of a grader."""
    if grader != "math":
        return f"{grader} 2"
    from importlib.metadata import version

    return f"math-verify {version('math-verify')}"


def grade_all(texts: Sequence[str], golds: Sequence[str], grader: str) -> list[Grade]:
    """One grade a text, in order. `grader` is exact, integer or math."""
    if grader == "math":
        return _grade_math(texts, golds)
    rule: Callable[[str, str], Grade] = {"exact": grade_exact, "integer": grade_integer}[grader]
    return [rule(text[-LONGEST_ANSWER:], gold) for text, gold in zip(texts, golds, strict=True)]


def grade_exact(text: str, gold: str) -> Grade:
    """Equal after folding case and space; the answer is the last box, else what follows the word answer, else all."""
    extracted = last_box(text)
    if extracted is None:
        match = AFTER_CUE.search(text)
        extracted = match.group(1) if match else text
    extracted = " ".join(extracted.split()).rstrip(".")
    return _judge(extracted.casefold() == " ".join(gold.split()).casefold(), extracted)


def grade_integer(text: str, gold: str) -> Grade:
    """The last number of the last box (of the whole text where there is none) is the gold integer.

    Leading zeros, thousands separators and a decimal part of zeros do not count.
    """
    box = last_box(text)
    found = NUMBER.findall(text if box is None else box)
    if not found:
        return Grade(False, "", "no integer")
    return _judge(_plain(found[-1]) == _plain(gold.strip()), found[-1].replace(",", ""))


def _plain(number: str) -> str:
    """One spelling for each number; compared as text, so that its length is no matter."""
    whole, _, fraction = number.replace(",", "").partition(".")
    digits = whole.lstrip("-").lstrip("0") or "0"
    sign = "-" if whole.startswith("-") and digits != "0" else ""
    fraction = fraction.rstrip("0")
    return f"{sign}{digits}.{fraction}" if fraction else f"{sign}{digits}"


def _judge(correct: bool, extracted: str) -> Grade:
    reason = "equal" if correct else "differs" if extracted else "no answer"
    return Grade(correct, extracted[:LONGEST_EXTRACTED], reason)


def last_box(text: str) -> str | None:
    r"""What the complete `\boxed{…}` that begins last holds, braces balanced; None where there is none. One pass."""
    opened: list[re.Match[str]] = []
    first, last = -1, -1
    for brace in BRACES.finditer(text):
        if brace.group() != "}":
            opened.append(brace)
        elif opened:
            partner = opened.pop()
            if len(partner.group()) > 1 and partner.end() > first:
                first, last = partner.end(), brace.start()
    return text[first:last] if first >= 0 else None


def _grade_math(texts: Sequence[str], golds: Sequence[str]) -> list[Grade]:
    """math-verify in one worker process; an answer that takes too long kills the worker and is wrong by time-out.

    Whatever an answer makes math-verify raise counts against that answer and never ends the sweep.
    """
    from multiprocessing import get_context

    from pebble import ProcessPool

    grades = []
    with ProcessPool(max_workers=1, context=get_context("spawn")) as pool:
        futures = [pool.schedule(verify_math, (text[-LONGEST_ANSWER:], gold), timeout=MATH_SECONDS)
                   for text, gold in zip(texts, golds, strict=True)]
        for future in futures:
            try:
                grades.append(Grade(*future.result()))
            except Exception as fault:
                grades.append(Grade(False, "", f"grader gave up: {type(fault).__name__}"))
        pool.close()
    return grades


def verify_math(text: str, gold: str) -> tuple[bool, str, str]:
    """(correct, extracted, reason) by math-verify; the last box alone is read where there is one.

    Runs in a worker process.
    """
    from math_verify import parse, verify

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns at every call that its own time limit is off
    expected = parse(f"${gold}$", parsing_timeout=None) or parse(gold, parsing_timeout=None)
    if not expected:
        return False, "", "the gold answer cannot be read"
    box = last_box(text)
    extracted = text if box is None else f"\\boxed{{{box}}}"
    answer = parse(extracted, parsing_timeout=None)
    if not answer:
        return False, "", "no answer"
    correct = bool(verify(expected, answer, timeout_seconds=None))
    return correct, str(answer[-1])[:200], "equal" if correct else "differs"
