"""The recipe's `zero` section as a DeepSpeed configuration, or one of the user's own that fits the recipe."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trl import SFTConfig

from recipes.errors import UserError
from recipes.reading import shown
from recipes.schema import Recipe
from recipes.zero import ZeroSection
from runtime.files import write_whole
from runtime.run_folder import RunFolder
from train.own_zero import faults

AUTO = "auto"
GATHERED = "stage3_gather_16bit_weights_on_model_save"
Config = dict[str, Any]


def deepspeed_config(zero: ZeroSection, device: str) -> Config:
    """The configuration that the Trainer completes ("auto" values). `device` is cuda or cpu.

    Without an optimizer of its own DeepSpeed wraps the Trainer's torch AdamW, so nothing has to be compiled; only where
    optimizer states are offloaded from a GPU does DeepSpeed's CPU Adam pay.
    """
    zero_optimization: Config = {
        "stage": zero.stage,
        "overlap_comm": device == "cuda",
        "contiguous_gradients": True,
        "reduce_bucket_size": zero.bucket_size,
    }
    if zero.stage in (1, 2):
        zero_optimization["allgather_bucket_size"] = zero.bucket_size
    if zero.stage == 3:
        zero_optimization["stage3_prefetch_bucket_size"] = zero.bucket_size
        zero_optimization |= _whole_saves(zero.stage)
    for part, where in (("offload_optimizer", zero.offload_optimizer), ("offload_param", zero.offload_parameters)):
        if where != "none":
            zero_optimization[part] = {"device": where, "pin_memory": device == "cuda", **_nvme(zero, where)}
    config: Config = {**_filled_by_the_trainer(), "zero_optimization": zero_optimization}
    if zero.offload_optimizer in ("cpu", "nvme") and device == "cuda":
        parameters = {"lr": AUTO, "betas": AUTO, "eps": AUTO, "weight_decay": AUTO}
        config["optimizer"] = {"type": "AdamW", "params": parameters}
    return config


def _nvme(zero: ZeroSection, where: str) -> Config:
    return {"nvme_path": str(zero.nvme_dir)} if where == "nvme" else {}


def _filled_by_the_trainer() -> Config:
    return {
        "train_micro_batch_size_per_gpu": AUTO,
        "gradient_accumulation_steps": AUTO,
        "train_batch_size": AUTO,
        "gradient_clipping": AUTO,
        "bf16": {"enabled": AUTO},
        "steps_per_print": 10**9,
        "zero_force_ds_cpu_optimizer": False,
    }


def config_of(recipe: Recipe, device: str, ranks: int) -> Config:
    """The configuration of a run: made from the `zero` section, or the file that `zero.config` names, made whole."""
    made = deepspeed_config(recipe.zero, device)
    if recipe.zero.config is None:
        return made
    own = read_config(recipe.zero.config)
    wrong = list(faults(own))
    if wrong:
        raise UserError(f"zero.config={recipe.zero.config}: {'; '.join(wrong)}")
    against = list(conflicts(own, recipe, ranks))
    if against:
        raise UserError(
            f"zero.config={recipe.zero.config} contradicts the recipe: {'; '.join(against)}; "
            "write auto there, or the same value in both"
        )
    wanted = {name: value for name, value in made["zero_optimization"].items() if name.startswith("offload")}
    given = {**wanted, **_whole_saves(recipe.zero.stage), **own.get("zero_optimization", {})}
    section = _filled({**given, "stage": recipe.zero.stage}, made["zero_optimization"])
    return {**_filled_by_the_trainer(), **own, "zero_optimization": section}


def _whole_saves(stage: int) -> Config:
    """What stage 3 needs so that a checkpoint holds weights at all."""
    return {GATHERED: True} if stage == 3 else {}


def _filled(own: Config, made: Config) -> Config:
    """`own` with the values of `made` where it says auto, at any depth; an auto that `made` does not know stays."""
    return {
        name: _filled(value, made.get(name, {}))
        if isinstance(value, dict)
        else made.get(name, AUTO)
        if value == AUTO
        else value
        for name, value in own.items()
    }


def read_config(path: Path) -> Config:
    """The JSON object at `path`; UserError where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise UserError(f"zero.config={path}: cannot be read ({fault.strerror}); name a DeepSpeed JSON file") from None
    except ValueError as fault:
        raise UserError(f"zero.config={path}: no JSON ({fault})") from None
    if not isinstance(found, dict):
        raise UserError(f"zero.config={path}: a DeepSpeed configuration is a JSON object, not {shown(found)}")
    section = found.get("zero_optimization", {})
    if not isinstance(section, dict):
        raise UserError(f"zero.config={path}: zero_optimization={shown(section)} must be a JSON object")
    return found


def conflicts(own: Config, recipe: Recipe, ranks: int) -> Iterator[str]:
    """Each place where the file and the recipe say different things, with both keys and both values."""
    for key, (ours, wanted) in _wanted(recipe, ranks).items():
        given = _at(own, key)
        if given not in (None, AUTO) and given != wanted:
            yield f"{key}={shown(given)} against {ours}={shown(wanted)}"
    if recipe.zero.stage == 3 and _at(own, f"zero_optimization.{GATHERED}") is False:
        yield f"zero_optimization.{GATHERED}=false against checkpoints, which would hold no weights"
    if _at(own, "fp16.enabled") not in (None, AUTO, False):
        yield f"fp16.enabled=true against model.dtype={recipe.model.dtype} (float16 is not trained)"
    if "optimizer" in own and "optim" in recipe.trainer:
        yield f"optimizer against trainer.optim={recipe.trainer['optim']}"
    if "scheduler" in own:
        yield "scheduler against trainer.lr_scheduler_type (the learning rate is the trainer's)"


def _wanted(recipe: Recipe, ranks: int) -> dict[str, tuple[str, Any]]:
    """Dotted keys of DeepSpeed with the recipe's key and value for each."""

    def field(name: str) -> Any:
        return recipe.trainer.get(name, SFTConfig.__dataclass_fields__[name].default)

    micro, steps = field("per_device_train_batch_size"), field("gradient_accumulation_steps")
    betas = [field("adam_beta1"), field("adam_beta2")]
    zero = recipe.zero
    return {
        "train_micro_batch_size_per_gpu": ("trainer.per_device_train_batch_size", micro),
        "gradient_accumulation_steps": ("trainer.gradient_accumulation_steps", steps),
        "train_batch_size": (f"micro batch × accumulation × {ranks} ranks", micro * steps * ranks),
        "gradient_clipping": ("trainer.max_grad_norm", field("max_grad_norm")),
        "bf16.enabled": ("model.dtype=bfloat16", recipe.model.dtype == "bfloat16"),
        "zero_optimization.stage": ("zero.stage", zero.stage),
        "zero_optimization.offload_optimizer.device": ("zero.offload_optimizer", zero.offload_optimizer),
        "zero_optimization.offload_param.device": ("zero.offload_parameters", zero.offload_parameters),
        "optimizer.params.lr": ("trainer.learning_rate", field("learning_rate")),
        "optimizer.params.betas": ("trainer.adam_beta1, adam_beta2", betas),
        "optimizer.params.eps": ("trainer.adam_epsilon", field("adam_epsilon")),
        "optimizer.params.weight_decay": ("trainer.weight_decay", field("weight_decay")),
    }


def _at(config: Config, key: str) -> Any:
    """The value at a dotted key; None where it is not there."""
    found: Any = config
    for name in key.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def record_config(trainer: Any) -> None:
    """Writes deepspeed.json into the run folder, as DeepSpeed gets it; rank 0 only, nothing without DeepSpeed."""
    plugin = trainer.accelerator.state.deepspeed_plugin
    if plugin is not None and trainer.args.process_index == 0:
        text = json.dumps(plugin.deepspeed_config, indent=2, default=str) + "\n"
        write_whole(RunFolder(Path(trainer.args.output_dir)).deepspeed, text)
