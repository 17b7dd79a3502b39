"""What a model is asked (`Problem`), and a named, hashed list of problems (`Suite`)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One checkable question. `id` is unique in its suite; `answer` is the gold answer as text."""

    id: str
    question: str
    answer: str


@dataclass(frozen=True)
class Suite:
    """Problems that are scored together by one grader (`exact`, `integer` or `math`)."""

    name: str
    problems: tuple[Problem, ...]
    grader: str

    @property
    def hash(self) -> str:
        """SHA-256 (16 hex digits) over ids, questions, answers and the grader's name: equal hash, equal suite."""
        rows = [[p.id, p.question, p.answer] for p in self.problems]
        return hashlib.sha256(json.dumps([self.grader, rows]).encode()).hexdigest()[:16]
