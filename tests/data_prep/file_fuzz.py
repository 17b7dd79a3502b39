"""Mutated files of every kind, read in child processes: each is read or refused by name, and nothing else happens.

    python -m tests.data_prep.file_fuzz            # 2,000 of each kind, some minutes
    python -m tests.data_prep.file_fuzz 300 7      # 300 of each, another seed

A child reads many files one after the other, with 4 GiB of address space and 20 seconds for each; a crash ends it, and
the file that did it stays where it is. Prints a line for each kind: read, refused, and what must not be (the file is
kept, and named).
"""

from __future__ import annotations

import json
import random
import resource
import signal
import subprocess
import sys
import traceback
from collections import Counter
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, NoReturn

import pyarrow
import pyarrow.parquet

from data_prep.ledger import Ledger
from data_prep.traces.sources import read_source
from recipes.errors import UserError
from recipes.paths import ROOT
from recipes.traces import FileTraces
from tests.data_prep.trace_files import write_rows

KINDS = (
    ".jsonl",
    ".json",
    ".csv",
    ".jsonl.gz",
    ".json.gz",
    ".csv.gz",
    ".jsonl.zst",
    ".jsonl.bz2",
    ".parquet",
    ".zstd.parquet",
    ".arrow",
    ".feather",
    ".nested.arrow",
)
MEMORY_BYTES, SECONDS, CHILD_SECONDS = 4 * 2**30, 20, 600
ROWS: list[dict[str, Any]] = [
    {"id": str(number), "question": f'q "{number}", é', "thinking": "t\nu" * number, "answer": "\u0634 4", "gold": 4}
    for number in range(1, 40)
]
EXTREMES = [0, 1, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63, 2**64 - 1]
PIECES = [b"\n", b"\r\n", b'"', b"{", b"}", b"[" * 3000, b",", b"\\u", b"\\ud800", b"\x00", b"\xff\xfe", b"NaN"]
PIECES += [b"1e999", b"-" * 40, b"9" * 5000, b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"null", b"{}", b"[]", b"\x1f\x8b"]


def sound(kind: str, folder: Path) -> bytes:
    """The bytes of a sound file of a kind."""
    match kind:
        case ".zstd.parquet":
            path = folder / "sound.parquet"
            table = pyarrow.Table.from_pylist(ROWS)
            pyarrow.parquet.write_table(table, path, compression="zstd", row_group_size=10, use_dictionary=["gold"])
        case ".nested.arrow":
            path = folder / "sound.arrow"
            turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "<think>t</think>a"}]
            table = pyarrow.Table.from_pylist([{"messages": turns, "kind": "k", "x": number} for number in range(40)])
            table = table.set_column(1, "kind", table["kind"].dictionary_encode())
            with pyarrow.ipc.new_file(
                str(path), table.schema, options=pyarrow.ipc.IpcWriteOptions(compression="lz4")
            ) as file:
                file.write_table(table, max_chunksize=10)
        case _:
            path = write_rows(folder / f"sound{kind}", ROWS)
    return path.read_bytes()


def mutated(content: bytes, rng: random.Random) -> bytes:
    """The bytes with one to four changes: flipped, replaced, lost, doubled, cut, or with numbers at their limits."""
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 4])):
        at = rng.randrange(len(changed) + 1)
        size = rng.choice([1, 2, 4, 8, 64, 1000])
        match rng.randrange(8):
            case 0 if at < len(changed):
                changed[at] ^= 1 << rng.randrange(8)
            case 1:
                changed[at : at + size] = rng.randbytes(size)
            case 2:
                del changed[at : at + size]
            case 3:
                changed[at:at] = changed[at : at + size] * rng.choice([1, 2, 50])
            case 4:
                width = rng.choice([2, 4, 8])
                number = rng.choice(EXTREMES) % 2 ** (8 * width)
                changed[at : at + width] = number.to_bytes(width, "little")
            case 5:
                changed[at : at + size] = rng.choice([b"\x00", b"\xff"]) * size
            case 6:
                changed[at:at] = rng.choice(PIECES)
            case _:
                del changed[at : at + rng.choice([10, 100, len(changed)])]
    return bytes(changed)


def mutant(kind: str, content: bytes, rng: random.Random) -> bytes:
    """A mutated file; of packed text sometimes what is in it, packed soundly."""
    if kind.endswith((".gz", ".zst", ".bz2")) and rng.random() < 0.5:
        codec = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}[kind[kind.rindex(".") :]]
        with pyarrow.input_stream(pyarrow.BufferReader(content), compression=codec) as packed:
            plain = packed.read()
        target = pyarrow.BufferOutputStream()
        with pyarrow.CompressedOutputStream(target, codec) as file:
            file.write(mutated(plain, rng))
        return bytes(target.getvalue().to_pybytes())
    return mutated(content, rng)


def child(kind: str, count: int, seed: int, folder: Path) -> None:
    """Reads `count` mutants; prints a line of JSON for each that did not end as it must, and the counts at the end."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    signal.signal(signal.SIGALRM, _too_long)
    rng, counts = random.Random(f"{kind} {seed}"), Counter[str]()
    content, path = sound(kind, folder), folder / f"mutant{kind}"
    for number in range(count):
        path.write_bytes(mutant(kind, content, rng))
        signal.alarm(SECONDS)
        try:
            list(read_source(FileTraces(source="file", path=path), "skip", Ledger(), "data.traces"))
            counts["read"] += 1
        except UserError as refused:
            counts["refused" if str(path) in str(refused) or "contains no traces" in str(refused) else "not named"] += 1
        except BaseException as fault:
            kept = path.rename(folder / f"fault-{number}{kind}")
            lines = traceback.format_exception(fault)[-3:]
            print(json.dumps({"fault": repr(fault)[:300], "file": str(kept), "at": "".join(lines)[-600:]}), flush=True)
        finally:
            signal.alarm(0)
    print(json.dumps(counts), flush=True)


def _too_long(*_: object) -> NoReturn:
    raise TimeoutError(f"not read after {SECONDS} seconds")


def fuzzed(kind: str, count: int, seed: int, folder: Path) -> tuple[Counter[str], list[str]]:
    """How the mutants of a kind ended in a child process, and what must not have happened to any of them."""
    command = [sys.executable, "-m", "tests.data_prep.file_fuzz", "child", kind, str(count), str(seed), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CHILD_SECONDS, cwd=ROOT, check=False)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    faults = [f"{row['file']}: {row['fault']}\n{row['at']}" for row in rows if "fault" in row]
    if done.returncode:
        faults.append(f"{folder / f'mutant{kind}'}: the process ended with {done.returncode}: {done.stderr[-800:]}")
    counts = Counter(rows[-1]) if rows and "fault" not in rows[-1] else Counter[str]()
    return counts, faults


def main(arguments: list[str]) -> int:
    count, seed = (*map(int, arguments), *(2_000, 1)[len(arguments) :])
    failed = 0
    for kind in KINDS:
        folder = Path(mkdtemp(prefix="file-fuzz-"))
        counts, faults = fuzzed(kind, count, seed, folder)
        print(f"{kind:15} {counts['read']:6,} read {counts['refused']:6,} refused {len(faults):4} faults", flush=True)
        print("".join(f"    {fault}\n" for fault in faults), end="", flush=True)
        failed += len(faults) + counts["not named"]
    return min(failed, 1)


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5]))
    else:
        sys.exit(main(sys.argv[1:]))
