"""What a model is asked (`Problem`), and a named, hashed list of problems (`Suite`)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Problem:
    """One checkable question. `id` is unique in its suite; `answer` is the gold answer as text.

    choices: the texts of a multiple choice in the order that is shown; the question then holds them as lettered lines
    and the answer is a letter. For the grader `reasoning_gym` the answer is JSON (`data_prep.reasoning_gym_suite`).
    """

    id: str
    question: str
    answer: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Suite:
    """Problems that are scored together by one grader (`exact`, `integer`, `math`, `choice` or `reasoning_gym`).

    wording: `own` where each problem has words of its own, `template` where all are made from one; instruction: the
    text that was put under every question.
    """

    name: str
    problems: tuple[Problem, ...]
    grader: str
    wording: Literal["own", "template"] = "own"
    instruction: str = ""

    @property
    def hash(self) -> str:
        """SHA-256 (16 hex digits) over all that is asked, answered and chosen from, and the grader's name.

        Equal hash, equal suite.
        """
        rows = [[p.id, p.question, p.answer, *p.choices] for p in self.problems]
        return hashlib.sha256(json.dumps([self.grader, rows]).encode()).hexdigest()[:16]
