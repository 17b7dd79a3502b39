"""What logging a step costs as a run grows: `python -m tests.bench.logging_steps`.

CPU time of one row of metrics.jsonl with 500, 5,000 and 50,000 rows before it, in turns with the rival: reading all
rows, replacing the one of the same step and writing all again. Medians; a turn of ours is 20 rows, since one is too
short to time, and the first follows the rival's large write and is left out.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runtime.files import Row, append_row, put_rows, write_rows

SIZES, ROUNDS, ROWS = (500, 5_000, 50_000), 9, 20


def row(step: int) -> Row:
    return {
        "step": step,
        "loss": 1.2345 / (step + 1),
        "learning_rate": 1e-4,
        "grad_norm": 0.731,
        "epoch": step / 1000,
        "mean_token_accuracy": 0.6543,
        "tokens": 12345,
        "seconds": 1.2345,
        "sweep_seconds": 0.0,
    }


def cpu_milliseconds(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return 1000 * (time.process_time() - began)


def measure(size: int, folder: Path) -> tuple[float, float]:
    """Medians of the milliseconds of one logged step: appended, and with all rows written again."""
    ours, rival = folder / "ours.jsonl", folder / "rival.jsonl"
    for file in (ours, rival):
        write_rows(file, [row(step) for step in range(size)])
    appended, rewritten = [], []
    for turn in range(ROUNDS):
        first = size + turn * (ROWS + 1)
        append_row(ours, row(first))
        mine = [row(step) for step in range(first + 1, first + 1 + ROWS)]
        appended.append(cpu_milliseconds(lambda rows=mine: [append_row(ours, new) for new in rows]) / ROWS)  # type: ignore[misc]
        rewritten.append(cpu_milliseconds(lambda new=mine[-1]: put_rows(rival, [new], ("step",))))  # type: ignore[misc]
    return statistics.median(appended), statistics.median(rewritten)


def main() -> None:
    print("rows before   appended   all written again (CPU ms for one logged step)")
    for size in SIZES:
        with tempfile.TemporaryDirectory() as name:
            appended, rewritten = measure(size, Path(name))
        print(f"{size:11,}   {appended:8.3f}   {rewritten:8.1f}")


if __name__ == "__main__":
    main()
