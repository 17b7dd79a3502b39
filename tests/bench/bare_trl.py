"""The rival: the TRL script that people write, under DeepSpeed. `deepspeed tests/bench/bare_trl.py JOB`.

JOB is a JSON file: model, traces (JSON Lines of prompt and completion), method (full or lora), steps, out, settings: a
list of {name, packing, padding_free, micro_batch, accumulation, max_length, whole_logits}. Every setting is trained in
turn from the same weights; `out` gets, by name, the real tokens and the seconds of every step.
"""

import json
import sys
import time

import deepspeed

deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False  # the rival, too, is spared the compile

from datasets import load_dataset  # noqa: E402
from peft import LoraConfig  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainerCallback  # noqa: E402
from trl import SFTConfig, SFTTrainer  # noqa: E402


class Times(TrainerCallback):
    """Real tokens and seconds of every step, written as soon as they are known."""

    def __init__(self, path, name, found):
        self.path, self.name, self.found, self.tokens = path, name, found, 0
        found[name] = []

    def on_step_begin(self, args, state, control, **kwargs):
        self.tokens, self.started = 0, time.perf_counter()

    def on_step_end(self, args, state, control, **kwargs):
        self.found[self.name].append([self.tokens, time.perf_counter() - self.started])
        with open(self.path, "w") as file:
            json.dump(self.found, file)


class Counting(SFTTrainer):
    """Counts tokens that are not padding."""

    times: Times

    def training_step(self, model, inputs, *args, **kwargs):
        mask = inputs.get("attention_mask")
        self.times.tokens += int(mask.sum()) if mask is not None else inputs["input_ids"].numel()
        return super().training_step(model, inputs, *args, **kwargs)


class WholeLogits(Counting):
    """The model's own loss over the logits of the whole sequence."""

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        inputs["use_cache"] = False
        return Trainer.compute_loss(self, model, inputs, return_outputs, num_items_in_batch)


def train(job, setting, found):
    automatic = ("train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "train_batch_size")
    zero = {
        **dict.fromkeys((*automatic, "gradient_clipping"), "auto"),
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 10**9,
        "zero_optimization": {"stage": 2},
    }
    arguments = SFTConfig(
        output_dir=job["out"] + ".out",
        deepspeed=zero,
        report_to="none",
        use_cpu=True,
        bf16=False,
        seed=1,
        max_length=setting["max_length"],
        packing=setting["packing"],
        padding_free=setting["padding_free"],
        per_device_train_batch_size=setting["micro_batch"],
        gradient_accumulation_steps=setting["accumulation"],
        max_steps=job["steps"],
        learning_rate=1e-3,
        lr_scheduler_type="cosine",
        warmup_steps=5,
        adam_beta2=0.98,
        logging_steps=1,
        save_strategy="no",
        gradient_checkpointing=False,
        disable_tqdm=True,
    )
    adapter = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    times = Times(job["out"], setting["name"], found)
    trainer = (WholeLogits if setting["whole_logits"] else Counting)(
        model=AutoModelForCausalLM.from_pretrained(job["model"]),
        args=arguments,
        processing_class=AutoTokenizer.from_pretrained(job["model"]),
        callbacks=[times],
        train_dataset=load_dataset("json", data_files=job["traces"], split="train"),
        peft_config=adapter if job["method"] == "lora" else None,
    )
    trainer.times = times
    trainer.train()


def main():
    path = next(argument for argument in sys.argv[1:] if not argument.startswith("--"))
    with open(path) as file:
        job = json.load(file)
    found = {}
    for setting in job["settings"]:
        train(job, setting, found)


if __name__ == "__main__":
    main()
