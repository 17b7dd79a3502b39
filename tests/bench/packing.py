"""What packing gains: `python -m tests.bench.packing`.

GSM8K's human solutions as traces, a small random Qwen3 on SDPA, forward and backward as the Trainer of a run does them.
Both sides get micro batches of the same budget of padded tokens: unpacked, as many traces (in random order, as in
training) as the longest of a random micro batch lets in on the median; packed, whole rows. Real tokens a second of CPU
time, in turns on the same threads, medians.
"""

from __future__ import annotations

import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from data_prep.prepared.prepare import Prepared, prepare
from data_prep.tokens.prompts import think_format
from recipes.data import DataSection
from tests.bench.gsm8k import FILE, read, small_qwen3, tokenizer_of
from train.feed import examples
from train.packed_attention import packed_collator

ROW_TOKENS, ROWS = 512, 8
ROUNDS, BATCHES = 7, 3
Collate = Callable[..., Any]


def prepared_set(folder: Path, tokenizer: Any) -> Prepared:
    columns = {"question": "problem", "thinking": "solution"}
    section = DataSection.model_validate(
        {
            "traces": {"source": "jsonl", "path": FILE, "columns": columns},
            "max_length_tokens": ROW_TOKENS,
            "cache_dir": folder,
            "workers": 1,
        }
    )
    return prepare(section, tokenizer, think_format(section.format, tokenizer), print)


def micro_batch_of(lengths: list[int], budget: int, order: list[int]) -> int:
    """The most traces that random micro batches of one size hold within `budget` padded tokens, on the median."""

    def padded(size: int) -> float:
        return statistics.median(
            size * max(lengths[i] for i in order[start : start + size]) for start in range(0, len(order) - size, size)
        )

    size = 1
    while padded(size + 1) <= budget:
        size += 1
    return size


def batches(groups: list[list[int]], prepared: Prepared, size: int, collate: Collate) -> list[dict[str, Any]]:
    """Micro batches of `size` examples in random order."""
    order = torch.randperm(len(groups), generator=torch.Generator().manual_seed(1)).tolist()
    rows = examples([groups[i] for i in order], prepared.rows)
    return [collate([rows[i] for i in range(start, start + size)]) for start in range(0, len(groups) - size + 1, size)]


def speed(model: Any, some: list[dict[str, Any]]) -> float:
    """Real tokens a second of CPU time of forward and backward."""
    started = time.process_time()
    for batch in some:
        outputs = model(**batch, use_cache=False, fused_lm_head=True)
        (-outputs.log_probs.sum() / outputs.label_mask.sum()).backward()
        model.zero_grad()
    return sum(map(real_tokens, some)) / (time.process_time() - started)


def real_tokens(batch: dict[str, Any]) -> int:
    return int(batch["attention_mask"].sum())


def main() -> None:
    from trl.trainer.utils import add_fused_lm_head

    traces = read()
    tokenizer = tokenizer_of(traces)
    model = small_qwen3(tokenizer)
    add_fused_lm_head(model)
    with tempfile.TemporaryDirectory() as name:
        prepared = prepared_set(Path(name), tokenizer)
        lengths = prepared.rows.lengths().tolist()
        order = torch.randperm(len(lengths), generator=torch.Generator().manual_seed(2)).tolist()
        size = micro_batch_of(lengths, ROWS * ROW_TOKENS, order)
        pad = tokenizer.pad_token_id
        sides = {
            "packed": batches(prepared.packed, prepared, ROWS, packed_collator(model, pad)),
            "padded": batches([[i] for i in range(len(lengths))], prepared, size, DataCollatorForLanguageModeling(pad)),
        }
        report(model, sides, f"{ROWS} rows of {ROW_TOKENS}", f"{size} traces")


def report(model: Any, sides: dict[str, list[dict[str, Any]]], *sizes: str) -> None:
    for (side, made), size in zip(sides.items(), sizes, strict=True):
        padded = statistics.mean(batch["input_ids"].numel() for batch in made)
        share = sum(map(real_tokens, made)) / sum(batch["input_ids"].numel() for batch in made)
        print(f"{side}: micro batches of {size}, {padded:,.0f} padded tokens, {share:.3f} of them real")
        speed(model, made[:1])  # warms up
    speeds: dict[str, list[float]] = {side: [] for side in sides}
    for turn in range(ROUNDS):
        for side, made in sides.items():
            speeds[side].append(speed(model, [made[(turn * BATCHES + i) % len(made)] for i in range(BATCHES)]))
    medians = {side: statistics.median(found) for side, found in speeds.items()}
    for side, found in speeds.items():
        print(f"{side}: real tokens a CPU second {', '.join(f'{each:,.0f}' for each in found)}")
    print(f"packed / padded  {medians['packed'] / medians['padded']:.2f}   (at least 1.5)")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB", flush=True)


if __name__ == "__main__":
    main()
