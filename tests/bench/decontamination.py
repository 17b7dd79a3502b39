"""Decontamination is linear in the rows: CPU seconds for 10,000, 30,000 and 100,000 traces against 500 problems.

    python -m tests.bench.decontamination

The sizes are run in turns, three times over, in one process; the least of each is shown. Words are drawn from a fixed
vocabulary, so that runs in common do occur.
"""

from __future__ import annotations

import random
import time
from collections import deque

from data_prep.filtering.decontaminate import decontaminate
from data_prep.ledger import Ledger
from data_prep.problem import Problem, Suite
from data_prep.trace import Trace
from recipes.quality import DecontaminateSection

SIZES = (10_000, 30_000, 100_000)
QUESTION_WORDS = 60


def texts(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    words = [f"w{i}" for i in range(200)]
    return [" ".join(rng.choices(words, k=QUESTION_WORDS)) for _ in range(count)]


def main() -> None:
    problems = texts(500, 1)
    suite = Suite("bench", tuple(Problem(str(i), text, "1") for i, text in enumerate(problems)), "math")
    questions = texts(max(SIZES), 2)
    questions[::1000] = problems[: len(questions[::1000])]
    traces = [Trace(str(i), text, "", "1", "bench") for i, text in enumerate(questions)]
    least: dict[int, float] = {}
    for _ in range(3):
        for size in SIZES:
            ledger, start = Ledger(), time.process_time()
            deque(decontaminate(traces[:size], DecontaminateSection(), [suite], ledger), maxlen=0)
            least[size] = min(least.get(size, 1e9), time.process_time() - start)
            assert ledger.lost.total() == size // 1000
    for size, seconds in least.items():
        ratio = (seconds / size) / (least[SIZES[0]] / SIZES[0])
        print(f"{size:8,} traces  {seconds:7.2f} s  {seconds / size * 1e6:6.1f} µs a trace  ({ratio:.2f} × the first)")


if __name__ == "__main__":
    main()
