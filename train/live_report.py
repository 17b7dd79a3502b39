"""Updates report.html while a run trains: after each sweep, as long as that takes a small share of the time."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from eval.show.unfinished import unfinished_lines
from runtime.run_folder import RunFolder

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
        """Writes the report if all reports so far, and one more like the last, stay within the share. If it cannot be
        written, prints a line and does not stop training."""
        now = self.clock()
        if self.spent > MOST_SHARE * (now - self.began):
            return
        try:
            self.write(self.folder)
        except Exception as fault:  # a report must not end a run
            print(f"report.html could not be written ({type(fault).__name__}: {fault}); the run continues", flush=True)
        self.spent += self.clock() - now


def write(folder: Path) -> object:
    from eval.show.report import write_report  # loads matplotlib, which nothing needs before the first sweep

    # this process holds the folder's lock: looking whether somebody does would release it
    return write_report(folder, unfinished_lines(RunFolder(folder), "running"))
