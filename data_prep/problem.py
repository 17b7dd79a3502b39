"""What a model is asked (`Problem`), and a named, hashed list of problems (`Suite`)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Literal

LIKELIHOOD = "likelihood_"


@dataclass(frozen=True)
class Problem:
    """One checkable question. `id` is unique in its suite; `answer` is the gold answer as text.

    choices: the texts of a multiple choice in the order that is shown; the question then holds them as lettered lines
    and the answer is a letter. Where a suite is scored by likelihood, the question is the whole prompt. For the grader
    `reasoning_gym` the answer is JSON (`data_prep.suites.reasoning_gym`). group: what it shares with others (a subject,
    a contest's year, a template), "" where nothing is known; intervals are then clustered by it.
    """

    id: str
    question: str
    answer: str
    choices: tuple[str, ...] = ()
    group: str = ""


@dataclass(frozen=True)
class Suite:
    """Problems that are scored together by one grader (`exact`, `integer`, `math`, `choice` or `reasoning_gym`).

    The graders `likelihood_…` (`eval.likelihood`) read no answer: the choice that the model finds likeliest is taken.
    wording: `own` where each problem has words of its own, `template` where all are made from one; instruction: the
    text that was put under every question.
    """

    name: str
    problems: tuple[Problem, ...]
    grader: str
    wording: Literal["own", "template"] = "own"
    instruction: str = ""

    @property
    def by_likelihood(self) -> bool:
        """Whether nothing is generated: the likeliest choice is the answer."""
        return self.grader.startswith(LIKELIHOOD)

    @property
    def method(self) -> str:
        """`generate` or `likelihood`, as a row of a sweep says it."""
        return "likelihood" if self.by_likelihood else "generate"

    @property
    def chance(self) -> float | None:
        """The accuracy of guessing among the choices; None where a problem has none."""
        counts = [len(problem.choices) for problem in self.problems]
        return sum(1 / count for count in counts) / len(counts) if counts and all(counts) else None

    @property
    def groups(self) -> dict[str, str] | None:
        """The group of each problem that has one, by its id; None where none has."""
        return {problem.id: problem.group for problem in self.problems if problem.group} or None

    @property
    def hash(self) -> str:
        """SHA-256 (16 hex digits) over questions, answers and choices, and the grader's name.

        Equal hash, equal suite. An instruction counts: it stands in every question. A group does not: no answer
        depends on it.
        """
        rows = [[p.id, p.question, p.answer, *p.choices] for p in self.problems]
        return hashlib.sha256(json.dumps([self.grader, rows]).encode()).hexdigest()[:16]
