"""How the processes of a run leave: the exit code of a preempted run, and who speaks first where all must stop."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from recipes.errors import UserError

PREEMPTED = 75
"""exit code of a run that was asked to stop and has saved a complete checkpoint"""

LEAD_SECONDS = 5.0


@contextmanager
def first_rank_speaks() -> Iterator[None]:
    """Where all ranks stop for one reason, the others leave later than rank 0, which has the message.

    A launcher ends every rank as soon as it sees the first one fail, and the message would be lost.
    """
    try:
        yield
    except (UserError, SystemExit):
        if os.environ.get("RANK", "0") != "0":
            time.sleep(LEAD_SECONDS)
        raise
