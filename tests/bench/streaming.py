"""Memory of reading and filtering traces: `python -m tests.bench.streaming [rows ...]` (10,000 100,000 1,000,000).

Each size is written as JSON Lines, Parquet and Arrow, with a broken and an unclosed row in every thousand, and read
through `read_and_filter` in a process of its own, each alone and all as a mixture. Shown are the peak resident memory,
what it grew by since the first row was asked for, and the CPU time a row. A million rows need about 2 GB of disk.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow
import pyarrow.parquet

from data_prep.filtering.pipeline import read_and_filter
from data_prep.ledger import Ledger
from recipes.data import DataSection
from recipes.traces import FileTraces, MixturePart, MixtureTraces

SIZES = (10_000, 100_000, 1_000_000)
WORDS = [f"word{number}" for number in range(500)]


def rows(size: int) -> Iterator[dict[str, str | None]]:
    """Prompts and completions of some 600 characters."""
    rng = random.Random("streaming")
    for number in range(size):
        thought = " ".join(rng.choices(WORDS, k=70))
        close = "" if number % 1000 == 1 else "\n</think>\n\n"
        yield {
            "id": f"r{number}",
            "prompt": f"Question {number}?",
            "gold": str(number),
            "completion": None if number % 1000 == 0 else f"<think>\n{thought}{close}The answer is {number}.",
        }


def write(folder: Path, size: int) -> list[Path]:
    """The rows as JSON Lines, Parquet and Arrow, the tables 10,000 rows at a time."""
    lines, table, stream = (folder / f"{size}.{kind}" for kind in ("jsonl", "parquet", "arrow"))
    schema = pyarrow.schema([(name, pyarrow.string()) for name in ("id", "prompt", "gold", "completion")])
    with (
        lines.open("w") as file,
        pyarrow.parquet.ParquetWriter(table, schema) as parquet,
        pyarrow.ipc.new_stream(str(stream), schema) as arrow,
    ):
        part = []
        for row in rows(size):
            file.write(json.dumps(row) + "\n")
            part.append(row)
            if len(part) == 10_000 or row["id"] == f"r{size - 1}":
                for writer in (parquet, arrow):
                    writer.write_table(pyarrow.Table.from_pylist(part, schema))
                part = []
    return [lines, table, stream]


def section(paths: list[Path]) -> DataSection:
    files = [FileTraces(source="file", path=path) for path in paths]
    traces = (
        files[0]
        if len(files) == 1
        else MixtureTraces(source="mixture", parts=[MixturePart(weight=1, traces=file) for file in files])
    )
    return DataSection(traces=traces, max_length_tokens=8, on_error="skip")


def peak_mib() -> float:
    """The largest resident memory of this program so far, in MiB (Linux only; getrusage counts the parent's too)."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def read(paths: list[Path]) -> None:
    """Reads everything; prints rows read, kept, peak, growth and CPU microseconds a row."""
    before, begun, ledger = peak_mib(), time.process_time(), Ledger()
    ledger.kept = sum(1 for _ in read_and_filter(section(paths), ledger))
    ledger.facts()
    microseconds = (time.process_time() - begun) / ledger.read * 1e6
    print(
        f"{ledger.read:>10,} read {ledger.kept:>10,} kept {dict(ledger.lost)}  peak {peak_mib():6.1f} MiB, "
        f"{peak_mib() - before:5.1f} over the start; {microseconds:.0f} µs of CPU a row"
    )


def main(arguments: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for size in [int(each) for each in arguments] or SIZES:
            paths = write(Path(folder), size)
            for name, chosen in (
                ("jsonl", paths[:1]),
                ("parquet", paths[1:2]),
                ("arrow", paths[2:]),
                ("mixture", paths),
            ):
                print(f"{name:8}", end="", flush=True)
                command = [sys.executable, "-m", "tests.bench.streaming", "--read", *map(str, chosen)]
                subprocess.run(command, check=True)
            for path in paths:
                path.unlink()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--read"]:
        read([Path(path) for path in sys.argv[2:]])
    else:
        main(sys.argv[1:])
