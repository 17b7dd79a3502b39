"""The rival: the TRL script that people write, under the same DeepSpeed stage and batch.

`deepspeed tests/bench/bare_trl.py MODEL TRACES METHOD STEPS TIMES`: METHOD is full or lora; TIMES gets the seconds of
every 5 steps.
"""

import json
import sys
import time

import deepspeed

deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False  # the rival, too, is spared the compile

from datasets import load_dataset  # noqa: E402
from peft import LoraConfig  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback  # noqa: E402
from trl import SFTConfig, SFTTrainer  # noqa: E402


class Times(TrainerCallback):
    """Seconds between logging steps."""

    def __init__(self, path: str) -> None:
        self.path, self.rows = path, []

    def on_train_begin(self, args, state, control, **kwargs):
        self.last = time.perf_counter()

    def on_log(self, args, state, control, logs=None, **kwargs):
        if "loss" in logs:
            now = time.perf_counter()
            self.rows.append(now - self.last)
            self.last = now
            with open(self.path, "w") as file:
                json.dump(self.rows, file)


def main() -> None:
    model, traces, method, steps, times = [a for a in sys.argv[1:] if not a.startswith("--")]
    automatic = ("train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "train_batch_size")
    zero = {**dict.fromkeys((*automatic, "gradient_clipping"), "auto"), "zero_force_ds_cpu_optimizer": False,
            "zero_optimization": {"stage": 2}}
    arguments = SFTConfig(
        output_dir=times + ".out", deepspeed=zero, report_to="none", use_cpu=True, bf16=False, seed=1, max_length=256,
        per_device_train_batch_size=48, max_steps=int(steps), learning_rate=1e-3, lr_scheduler_type="cosine",
        warmup_steps=5, adam_beta2=0.98, logging_steps=5, save_strategy="no", gradient_checkpointing=False,
        disable_tqdm=True)
    adapter = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(model), args=arguments,
        processing_class=AutoTokenizer.from_pretrained(model), callbacks=[Times(times)],
        train_dataset=load_dataset("json", data_files=traces, split="train"),
        peft_config=adapter if method == "lora" else None)
    trainer.train()


if __name__ == "__main__":
    main()
