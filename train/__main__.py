"""`python -m train recipe=FILE …`: a run, as `launch/train.py` starts it; `deepspeed --module train …` too."""

import os

from train.environment import prepare

prepare(os.environ, len(os.sched_getaffinity(0)))

from train.main import command  # noqa: E402

if __name__ == "__main__":
    command()
