"""Problems of a Reasoning Gym task, made from a seed (the optional extra `reasoning-gym`).

`main(task, size, seed)` prints them as JSON. The loader runs it in a process of its own with a fixed hash seed, because
some tasks iterate over sets of text, whose order differs from process to process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from data_prep.problem import Problem
from recipes.errors import UserError
from recipes.paths import ROOT
from recipes.suites import ReasoningGymSuite

MAKE = (
    "import sys; sys.path.insert(0, sys.argv[1]); from data_prep.suites.reasoning_gym import main; main(*sys.argv[2:])"
)
SECONDS = 600


def reasoning_gym_problems(section: ReasoningGymSuite, where: str) -> tuple[Problem, ...]:
    """`section.size` problems. The answer is JSON: the task and the whole entry, which its scorer needs.

    where: the suite's name in a UserError.
    """
    if find_spec("reasoning_gym") is None:
        raise UserError(f"{where}: source=reasoning_gym needs the package; pip install 'chainmend[reasoning-gym]'")
    command = [sys.executable, "-P", "-c", MAKE, str(ROOT), section.task, str(section.size), str(section.seed)]
    try:
        process = subprocess.run(
            command, env={**os.environ, "PYTHONHASHSEED": "0"}, capture_output=True, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        raise UserError(
            f"{where}.task: {section.task} did not make {section.size} problems in {SECONDS} seconds"
        ) from None
    if process.returncode != 0:
        message = (process.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"{where}.task: Reasoning Gym cannot make {section.task!r} ({message[:300]})")
    entries = json.loads(process.stdout.splitlines()[-1])
    return tuple(
        Problem(
            id=f"{section.task}-{section.seed}-{i}",
            question=entry["question"],
            answer=json.dumps({"task": section.task, "entry": entry}, sort_keys=True),
        )
        for i, entry in enumerate(entries)
    )


def tuples_as_objects(value: Any) -> Any:
    """The value with every tuple as {"tuple": […]}, since some scorers tell tuples from lists and JSON does not."""
    if isinstance(value, Mapping):
        return {key: tuples_as_objects(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        items = [tuples_as_objects(item) for item in value]
        return items if isinstance(value, list) else {"tuple": items}
    return value


def main(task: str, size: str, seed: str) -> None:
    """Prints the entries of a task as one line of JSON; SystemExit with similar names if there is no such task."""
    import reasoning_gym
    from reasoning_gym.factory import DATASETS

    if task not in DATASETS:
        from difflib import get_close_matches

        near = get_close_matches(task, DATASETS, n=3, cutoff=0.3)
        sys.exit(f"no such task; did you mean {', '.join(near) or 'one of its list'}?")
    entries = [
        tuples_as_objects(dict(entry)) for entry in reasoning_gym.create_dataset(task, size=int(size), seed=int(seed))
    ]
    print("\n" + json.dumps(entries))  # some tasks print dots while they make problems
