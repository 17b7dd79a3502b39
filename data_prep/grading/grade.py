"""Grading: the text after the last close against the gold answer, by rule or in a process that can be killed.

`exact`, `integer` and `choice` are rules (`rules`). `math` settles plain cases at once and calls math-verify for the
rest; `reasoning_gym` calls the task's own scorer. Both run in worker processes with limits of time and memory. Sweeps
grade suites with it (`eval`), and verification grades traces.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version

from data_prep.grading.choice import grade_choice
from data_prep.grading.extraction import LONGEST_EXTRACTED, boxed
from data_prep.grading.mathematics import settle
from data_prep.grading.pool import GradingPool, shared_pool
from data_prep.grading.rules import Grade, grade_exact, grade_integer

__all__ = ["GRADERS", "Grade", "grade_all", "grader_version"]

LONGEST_ANSWER = 20_000
RULES: dict[str, Callable[[str, str], Grade]] = {"exact": grade_exact, "integer": grade_integer, "choice": grade_choice}
RULE_VERSIONS = {"exact": 4, "integer": 5, "choice": 3, "math": 5, "reasoning_gym": 2}
LIBRARIES = {"math": ("math-verify", "sympy"), "reasoning_gym": ("reasoning-gym",)}
GRADERS = tuple(RULE_VERSIONS)


def grader_version(grader: str) -> str:
    """The grader's entry in a protocol hash: its own version, and those of the libraries that decide."""
    libraries = [f"{name} {version(name)}" for name in LIBRARIES.get(grader, ())]
    return ", ".join([f"{grader} {RULE_VERSIONS[grader]}", *libraries])


def grade_all(texts: Sequence[str], golds: Sequence[str], grader: str, pool: GradingPool | None = None) -> list[Grade]:
    """One grade per text, in order; `grader` is one of `GRADERS`. `pool` is used instead of the shared one."""
    answers = [(text[-LONGEST_ANSWER:], gold) for text, gold in zip(texts, golds, strict=True)]
    if grader in RULES:
        return [RULES[grader](text, gold) for text, gold in answers]
    grades = [settle(text, gold) if grader == "math" else None for text, gold in answers]
    open_ = [i for i, grade in enumerate(grades) if grade is None]
    judged = (pool or shared_pool(grader)).grade([answers[i] for i in open_]) if open_ else []
    for i, grade in zip(open_, judged, strict=True):
        grades[i] = _with_text(grade, answers[i][0]) if grade.reason.startswith("grader ") else grade
    return [grade for grade in grades if grade is not None]


def _with_text(grade: Grade, text: str) -> Grade:
    """Adds the answer to grades that the grader gave up on, as far as it can be extracted without the grader."""
    box = boxed(text)
    return Grade(grade.correct, (text.strip() if box is None else box)[-LONGEST_EXTRACTED:], grade.reason)
