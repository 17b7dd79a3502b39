"""The problems that a run's report shows with their thoughts."""

from __future__ import annotations

from eval.sweep import SweepSpec
from runtime.files import write_rows
from runtime.run_folder import RunFolder


def keep_problems(spec: SweepSpec, suite: str, folder: RunFolder) -> None:
    """Stores questions and answers of the verdict suite, since the data set may disappear."""
    problems = next(s for s in spec.suites if s.name == suite).problems
    rows = [{"suite": suite, "id": each.id, "question": each.question, "answer": each.answer} for each in problems]
    write_rows(folder.problems, rows)
