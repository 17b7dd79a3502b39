"""One question to a model (`Problem`), and a named, hashed list of problems (`Suite`)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Literal

LIKELIHOOD = "likelihood_"


@dataclass(frozen=True)
class Problem:
    """One checkable question. `id` is unique in its suite; `answer` is the gold answer as text.

    choices: the texts of a multiple choice in the order shown; the question then contains them as lettered lines, and
    the answer is a letter. If a suite is scored by likelihood, the question is the whole prompt. For the grader
    `reasoning_gym` the answer is JSON (`data_prep.suites.reasoning_gym`). group: what it shares with related problems
    (a subject, a contest's year, a template), by which intervals are clustered; "" if nothing is known.
    """

    id: str
    question: str
    answer: str
    choices: tuple[str, ...] = ()
    group: str = ""


@dataclass(frozen=True)
class Suite:
    """Problems that are scored together by one grader (`exact`, `integer`, `math`, `choice` or `reasoning_gym`).

    The graders `likelihood_…` (`eval.likelihood`) read no answer: the model's likeliest choice is the answer. wording:
    `own` if each problem has its own words, `template` if all are made from one; instruction: the text that was put
    under every question.
    """

    name: str
    problems: tuple[Problem, ...]
    grader: str
    wording: Literal["own", "template"] = "own"
    instruction: str = ""

    @property
    def by_likelihood(self) -> bool:
        """Whether the likeliest choice is the answer, and nothing is generated."""
        return self.grader.startswith(LIKELIHOOD)

    @property
    def method(self) -> str:
        """`generate` or `likelihood`, as a row of a sweep says it."""
        return "likelihood" if self.by_likelihood else "generate"

    @property
    def chance(self) -> float | None:
        """The accuracy of guessing among the choices; None if a problem has none."""
        counts = [len(problem.choices) for problem in self.problems]
        return sum(1 / count for count in counts) / len(counts) if counts and all(counts) else None

    @property
    def groups(self) -> dict[str, str] | None:
        """The group of each problem that has one, by its id; None if none has."""
        return {problem.id: problem.group for problem in self.problems if problem.group} or None

    @property
    def hash(self) -> str:
        """SHA-256 (16 hex digits) over questions, answers and choices, and the grader's name.

        Equal hash, equal suite. An instruction counts, since it is in every question. A group does not, since no
        answer depends on it.
        """
        rows = [[p.id, p.question, p.answer, *p.choices] for p in self.problems]
        return hashlib.sha256(json.dumps([self.grader, rows]).encode()).hexdigest()[:16]
