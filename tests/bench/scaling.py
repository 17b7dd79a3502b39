"""How training grows: `python -m tests.bench.scaling`.

A small random Qwen3 (5 M parameters, SDPA), packed, 4 traces a micro batch, on text of the GSM8K part, each measurement
in a process of its own: CPU seconds of all steps after the first two, and the peak resident memory over that before the
model. With 1, 2 and 4 times the traces at one length, then with 1, 2 and 4 times the length. The exponent is the slope
of log seconds on log size, by least squares.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from transformers import TrainerCallback
from trl import SFTConfig

from data_prep.prepared.prepare import Prepared, prepare
from data_prep.tokens.prompts import think_format
from recipes.data import DataSection
from tests.bench.gsm8k import read, small_qwen3, tokenizer_of
from tests.bench.streaming import peak_mib
from train.feed import PackedFeed

TRACES, LENGTH, BATCH = 32, 256, 4
WARM_UP = 2
ROUNDS = 3


class AfterWarmUp(TrainerCallback):
    """CPU seconds of the steps after the first two."""

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == WARM_UP:
            self.started = time.process_time()
        self.seconds = time.process_time() - getattr(self, "started", 0.0)


def traces_of(folder: Path, tokenizer: Any, traces: int, length: int) -> Prepared:
    """A set of traces of just under `length` tokens."""
    words = tokenizer.encode("\n".join(trace.thinking for trace in read()), add_special_tokens=False)
    size = length - 32
    rows = [
        {"prompt": "What comes out?", "completion": f"<think>\n{text}\n</think>\n\n{number}", "gold": str(number)}
        for number, text in enumerate(tokenizer.decode(words[i * size : (i + 1) * size]) for i in range(traces))
    ]
    file = folder / "traces.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    section = DataSection.model_validate(
        {
            "traces": {"source": "jsonl", "path": file},
            "max_length_tokens": length,
            "packing": True,
            "cache_dir": folder / "cache",
            "workers": 1,
        }
    )
    return prepare(section, tokenizer, think_format(section.format, tokenizer))


def measure(traces: int, length: int) -> dict[str, float]:
    tokenizer = tokenizer_of(read())
    with tempfile.TemporaryDirectory() as name:
        prepared = traces_of(Path(name), tokenizer, traces + WARM_UP * BATCH, length)
        before = peak_mib()
        arguments = SFTConfig(
            output_dir=name,
            report_to="none",
            use_cpu=True,
            bf16=False,
            max_length=length,
            num_train_epochs=1,
            per_device_train_batch_size=BATCH,
            save_strategy="no",
            gradient_checkpointing=False,
            disable_tqdm=True,
            logging_strategy="no",
            dataset_kwargs={"skip_prepare_dataset": True},
            remove_unused_columns=False,
        )
        trainer = PackedFeed(prepared).trainer(small_qwen3(tokenizer), arguments, tokenizer, None)
        watch = AfterWarmUp()
        trainer.add_callback(watch)
        trainer.train()
    return {"seconds": watch.seconds, "mib": peak_mib() - before, "tokens": prepared.tokens / len(prepared.rows)}


def in_a_process(traces: int, length: int) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.scaling", str(traces), str(length)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def exponent(sizes: list[float], values: list[float]) -> float:
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def main() -> None:
    by_traces = {factor * TRACES: (factor * TRACES, LENGTH) for factor in (1, 2, 4)}
    by_length = {factor * LENGTH: (TRACES, factor * LENGTH) for factor in (1, 2, 4)}
    cases = sorted({*by_traces.values(), *by_length.values()})
    rounds = [{case: in_a_process(*case) for case in cases} for _ in range(ROUNDS)]
    found = {
        case: {key: float(np.median([each[case][key] for each in rounds])) for key in ("seconds", "mib", "tokens")}
        for case in cases
    }
    for (traces, _), values in found.items():
        print(
            f"{traces:4} traces of {values['tokens']:5.0f} tokens: {values['seconds']:6.1f} s of CPU, "
            f"{values['mib']:5.0f} MiB"
        )
    for name, some, most in (("traces", by_traces, 1.1), ("length", by_length, 2.0)):
        seconds = exponent(list(some), [found[case]["seconds"] for case in some.values()])
        memory = exponent(list(some), [found[case]["mib"] for case in some.values()])
        print(
            f"time grows with {name} to the power of   {seconds:.2f}   (at most {most}); "
            f"memory to the power of {memory:.2f}"
        )


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(measure(int(sys.argv[1]), int(sys.argv[2]))))
    else:
        main()
