"""The rival on a GPU: the TRL script that people write, under DeepSpeed ZeRO-2. `deepspeed tests/bench/gpu_trl.py JOB`.

JOB is a JSON file: model, rows (JSON Lines of prompt and completion), method (full or lora), steps, row_tokens,
checkpointing, liger, folder. The folder gets steps.json, [[real tokens, seconds], ...], and memory.json.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:] = [str(HERE.parents[1])] + [entry for entry in sys.path if Path(entry or ".").resolve() != HERE]
os.environ.setdefault("PYTORCH_ALLOC_CONF", "expandable_segments:True")  # the rival gets it, too

import torch  # noqa: E402
from datasets import load_dataset  # noqa: E402
from peft import LoraConfig  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback  # noqa: E402
from trl import SFTConfig, SFTTrainer  # noqa: E402

from tests.bench.gpu_watch import MemoryWatch  # noqa: E402

CUDA = torch.cuda.is_available()


class Times(TrainerCallback):  # type: ignore[misc]
    """Real tokens and seconds of every step."""

    def __init__(self, file: Path) -> None:
        self.file, self.tokens = file, 0
        self.steps: list[list[float]] = []

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.tokens, self.started = 0, self._now()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.steps.append([self.tokens, self._now() - self.started])
        self.file.write_text(json.dumps(self.steps), encoding="ascii")

    def _now(self) -> float:
        if CUDA:
            torch.cuda.synchronize()
        return time.perf_counter()


class Counting(SFTTrainer):  # type: ignore[misc]
    """Counts tokens that are not padding."""

    times: Times

    def training_step(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        mask = inputs.get("attention_mask")
        self.times.tokens += int(mask.sum()) if mask is not None else inputs["input_ids"].numel()
        return super().training_step(model, inputs, *args, **kwargs)


def arguments_of(job: dict[str, Any]) -> SFTConfig:
    automatic = ("train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "train_batch_size")
    zero = {
        **dict.fromkeys((*automatic, "gradient_clipping"), "auto"),
        "bf16": {"enabled": "auto"},
        "zero_optimization": {"stage": 2, "overlap_comm": CUDA, "contiguous_gradients": True},
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 10**9,
    }
    return SFTConfig(
        output_dir=str(Path(job["folder"]) / "out"),
        deepspeed=zero,
        report_to="none",
        use_cpu=not CUDA,
        bf16=True,
        max_length=job["row_tokens"],
        packing=True,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=2,
        max_steps=job["steps"],
        learning_rate=1e-5,
        logging_steps=1,
        save_strategy="no",
        gradient_checkpointing=job["checkpointing"],
        use_liger_kernel=job["liger"],
        disable_tqdm=True,
    )


def attention() -> dict[str, str]:
    """FlashAttention 2 where it is installed, as TRL's documentation advises for packed rows."""
    return {"attn_implementation": "flash_attention_2"} if CUDA and find_spec("flash_attn") else {}


def main(job: dict[str, Any]) -> None:
    folder = Path(job["folder"])
    watch, times = MemoryWatch(folder / "memory.json"), Times(folder / "steps.json")
    lora = LoraConfig(r=64, lora_alpha=64, target_modules="all-linear", task_type="CAUSAL_LM")
    trainer = Counting(
        model=AutoModelForCausalLM.from_pretrained(job["model"], dtype=torch.bfloat16, **attention()),
        args=arguments_of(job),
        processing_class=AutoTokenizer.from_pretrained(job["model"]),
        callbacks=[times],
        train_dataset=load_dataset("json", data_files=job["rows"], split="train"),
        peft_config=lora if job["method"] == "lora" else None,
    )
    trainer.times = times
    trainer.train()
    watch.close()


if __name__ == "__main__":
    if not CUDA:
        import deepspeed

        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False  # it would be compiled for minutes
    file = next(argument for argument in sys.argv[1:] if not argument.startswith("--"))
    main(json.loads(Path(file).read_text(encoding="utf-8")))
