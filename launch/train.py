"""The entry of a run: `deepspeed launch/train.py recipe=lora_recovery.yaml [key=value …]`, or plain `python` for it.

The folder of this script, which Python puts first on the path, would hide the package `train` behind this very file;
so it makes room for the repository's root before anything else is imported.
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
