"""report.html while a run trains: written again after a sweep, as long as that takes a small share of the time."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

MOST_SHARE = 0.05


class LiveReport:
    """write: makes the report of a run folder; clock: seconds."""

    def __init__(
        self, folder: Path, write: Callable[[Path], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.folder, self.write, self.clock = folder, write, clock
        self.began = clock()
        self.spent = 0.0

    def renew(self) -> None:
        """Writes the report where all reports so far, and one more like the last, stay within the share. A report that
        cannot be written is said and stops no training."""
        now = self.clock()
        if self.spent > MOST_SHARE * (now - self.began):
            return
        try:
            self.write(self.folder)
        except Exception as fault:  # figures of a run are worth less than the run
            print(f"report.html could not be written ({type(fault).__name__}: {fault}); the run goes on", flush=True)
        self.spent += self.clock() - now


def write(folder: Path) -> object:
    from eval.show.report import write_report  # matplotlib is not needed before the first sweep

    return write_report(folder)
