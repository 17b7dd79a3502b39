"""Starts a run: `deepspeed launch/train.py recipe=lora_recovery.yaml [key=value …]`, or with plain `python`.

Python puts the folder of this script first on the path, where this file would hide the package `train`. The script
therefore replaces that entry with the repository's root before it imports anything else.
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:] = [str(HERE.parent)] + [entry for entry in sys.path if Path(entry or ".").resolve() != HERE]

from train.environment import prepare  # noqa: E402

prepare(os.environ, len(os.sched_getaffinity(0)))

from train.main import command  # noqa: E402

if __name__ == "__main__":
    command()
