"""The process that grades: what it loads, and what an answer may not make of it."""

from __future__ import annotations

import subprocess
import sys

from data_prep.grading.worker import judged
from recipes.paths import ROOT


def test_whatever_a_library_raises_counts_against_the_answer_alone() -> None:
    def recursive(text: str, gold: str) -> tuple[bool, str, str]:
        raise RecursionError(text)

    assert judged(recursive, "x", "y") == (False, "", "grader gave up: RecursionError")


def test_a_verdict_is_made_of_plain_values() -> None:
    assert judged(lambda text, gold: (1, 7, "equal"), "x", "y") == (True, "7", "equal")  # type: ignore[arg-type, return-value]


def test_a_worker_loads_no_torch() -> None:
    code = (
        "import sys; from data_prep.grading.worker import load; load('math'); "
        "print({'torch', 'transformers'} & {*sys.modules})"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout == "set()\n"
