"""The scorers of Reasoning Gym, for a worker process: some of them evaluate the answer as Python code.

The gold answer is the JSON text that `data_prep.suites.reasoning_gym` writes: the task and the whole entry, since a
scorer may need more than the answer.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

from data_prep.grading.extraction import LONGEST_EXTRACTED, short_answer

TAGGED = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)


def warm_up() -> None:
    """Imports the library."""
    import reasoning_gym  # noqa: F401


@lru_cache(maxsize=8)
def _scorer(task: str) -> Any:
    import reasoning_gym

    return reasoning_gym.get_score_answer_fn(task)


def _with_tuples(value: dict[str, Any]) -> Any:
    """A tuple for the object that `data_prep.suites.reasoning_gym` writes in its place."""
    return tuple(value["tuple"]) if value.keys() == {"tuple"} else value


def score(text: str, gold: str) -> tuple[bool, str, str]:
    """(correct, extracted, reason); only a full score is correct, and the reason names a partial score."""
    problem = json.loads(gold, object_hook=_with_tuples)
    tagged = TAGGED.findall(text)
    answer = tagged[-1].strip() if tagged else short_answer(text)
    if not answer:
        return False, "", "no answer"
    points = float(_scorer(problem["task"])(answer, problem["entry"]))
    reason = "equal" if points >= 1 else f"differs (score {points:.3g})"
    return points >= 1, answer[:LONGEST_EXTRACTED], reason
