"""`python -m train recipe=FILE …` starts a run like `launch/train.py`; so does `deepspeed --module train …`."""

import os

from train.environment import prepare

prepare(os.environ, len(os.sched_getaffinity(0)))

from train.main import command  # noqa: E402

if __name__ == "__main__":
    command()
