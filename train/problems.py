"""The questions that a run's report shows above the thoughts about them."""

from __future__ import annotations

from eval.sweep import SweepSpec
from runtime.files import write_rows
from runtime.run_folder import RunFolder


def keep_problems(spec: SweepSpec, suite: str, folder: RunFolder) -> None:
    """Keeps the questions and answers of the suite that decides; the data set may be gone one day."""
    problems = next(s for s in spec.suites if s.name == suite).problems
    rows = [{"suite": suite, "id": each.id, "question": each.question, "answer": each.answer} for each in problems]
    write_rows(folder.problems, rows)
