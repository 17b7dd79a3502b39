"""How fast traces are prepared: `python -m tests.bench.preparing [traces=20000] [workers=2]`.

Traces of about 1,000 tokens, a byte-level BPE trained on them. The whole preparation (reading a JSON Lines file,
filters, rendering, tokenising, the proof of every row, writing, manifest) against the raw tokenizer's `encode_batch` on
the same texts, both on all cores. In turns, medians: the CPU time, which a busy machine does not change, and the wall
time, which counts on a quiet one. Constant memory: the peak after a quarter of the traces and after all.
"""

from __future__ import annotations

import json
import os
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from transformers import PreTrainedTokenizerFast

from data_prep.prepared.prepare import prepare
from data_prep.tokens.prompts import render_completion, render_prompt, think_format
from data_prep.trace import Trace
from recipes.data import DataSection
from tests.bench.gsm8k import tokenizer_of

ROUNDS = 3
CHARACTERS = 3900  # about 1,000 tokens of these texts


def invented_words(rng: random.Random) -> list[str]:
    """4,000 words of two to four syllables."""
    syllables = [a + b for a in "bcdfghklmnprstvw" for b in ("a", "e", "i", "o", "u", "an", "er", "ing", "on")]
    return sorted({"".join(rng.choices(syllables, k=rng.randint(1, 3))) for _ in range(4000)})


def synthetic(count: int) -> Iterator[Trace]:
    """Traces of short reckoning steps; none is like another."""
    rng = random.Random(0)
    words = invented_words(rng)
    for number in range(count):
        steps: list[str] = []
        while sum(map(len, steps)) < CHARACTERS:
            a, b = rng.randrange(1000), rng.randrange(1000)
            steps.append(f"{' '.join(rng.choices(words, k=9)).capitalize()}, so {a} + {b} = {a + b}.\n")
        yield Trace(f"t{number}", " ".join(rng.choices(words, k=40)) + "?", "".join(steps), f"It is {a + b}.", "made")


Seconds = tuple[float, float]


def seconds(work: Callable[[], object]) -> Seconds:
    """CPU seconds of this process and all its threads, and wall seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def raw(texts: list[str], tokenizer: PreTrainedTokenizerFast) -> Seconds:
    """The tokenizer alone, 1,000 texts at a time."""

    def work() -> None:
        for start in range(0, len(texts), 1000):
            tokenizer.backend_tokenizer.encode_batch(texts[start : start + 1000], add_special_tokens=False)

    return seconds(work)


def ours(file: Path, tokenizer: PreTrainedTokenizerFast, workers: int) -> Seconds:
    """A whole preparation, with a cache that is empty."""
    with tempfile.TemporaryDirectory() as cache:
        section = DataSection.model_validate(
            {
                "traces": {"source": "jsonl", "path": file},
                "cache_dir": cache,
                "max_length_tokens": 2048,
                "workers": workers,
            }
        )
        fmt = think_format(section.format, tokenizer)
        return seconds(lambda: prepare(section, tokenizer, fmt))


def peak_mebibytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    given = dict(argument.split("=") for argument in sys.argv[1:])
    count, workers = int(given.get("traces", "20000")), int(given.get("workers", str(os.cpu_count())))
    tokenizer = tokenizer_of(list(synthetic(2000)), words=8192)
    fmt = think_format(
        DataSection.model_validate({"traces": {"source": "nano", "size": 1}, "max_length_tokens": 8}).format, tokenizer
    )
    with tempfile.TemporaryDirectory() as name:
        file, quarter = Path(name) / "traces.jsonl", Path(name) / "quarter.jsonl"
        texts: list[str] = []
        with file.open("w") as whole, quarter.open("w") as part:
            for number, trace in enumerate(synthetic(count)):
                row = {"question": trace.question, "thinking": trace.thinking, "answer": trace.answer}
                for out in (whole, part) if number < count // 4 else (whole,):
                    out.write(json.dumps(row) + "\n")
                texts += [render_prompt(trace.question, tokenizer, fmt), render_completion(trace, fmt)]
        ours(quarter, tokenizer, workers)
        peak = peak_mebibytes()
        ours(file, tokenizer, workers)
        print(f"peak memory grew by {peak_mebibytes() - peak:,.0f} MiB from {count // 4:,} traces to {count:,}")
        turns = [(ours(file, tokenizer, workers), raw(texts, tokenizer)) for _ in range(ROUNDS)]
        for place, what in enumerate(("CPU", "wall")):
            show(f"{what} time, {workers} threads", [(mine[place], theirs[place]) for mine, theirs in turns])


def show(what: str, turns: list[Seconds]) -> None:
    """`turns`: seconds of the preparation, and of the raw tokenizer right after it."""
    ratio = statistics.median(theirs / mine for mine, theirs in turns)
    print(
        f"{what}: prepared {', '.join(f'{mine:.1f}' for mine, _ in turns)} s, "
        f"raw {', '.join(f'{theirs:.1f}' for _, theirs in turns)} s; "
        f"{ratio:.2f} of the raw throughput   (at least 0.8)",
        flush=True,
    )


if __name__ == "__main__":
    main()
