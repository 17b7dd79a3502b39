"""The recipe's `zero` section as a DeepSpeed configuration, or the user's own JSON if it agrees with the recipe."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from recipes.errors import UserError
from recipes.reading import shown
from recipes.schema import ModelSection
from recipes.zero import ZeroSection
from runtime.files import write_whole
from runtime.run_folder import RunFolder
from train.batch import Batch, setting
from train.own_zero import faults

AUTO = "auto"
GATHERED = "stage3_gather_16bit_weights_on_model_save"
Config = dict[str, Any]


def deepspeed_config(zero: ZeroSection, device: str) -> Config:
    """The configuration that the Trainer completes ("auto" values). `device` is cuda or cpu.

    Without an `optimizer` entry DeepSpeed wraps the Trainer's torch AdamW, so nothing has to be compiled. DeepSpeed's
    CPU Adam pays off only if optimizer states are offloaded from a GPU.
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
    for part, place in (("offload_optimizer", zero.offload_optimizer), ("offload_param", zero.offload_parameters)):
        if place != "none":
            zero_optimization[part] = {"device": place, "pin_memory": device == "cuda", **_nvme(zero, place)}
    config: Config = {**_filled_by_the_trainer(), "zero_optimization": zero_optimization}
    if zero.offload_optimizer in ("cpu", "nvme") and device == "cuda":
        parameters = {"lr": AUTO, "betas": AUTO, "eps": AUTO, "weight_decay": AUTO}
        config["optimizer"] = {"type": "AdamW", "params": parameters}
    return config


def _nvme(zero: ZeroSection, place: str) -> Config:
    return {"nvme_path": str(zero.nvme_dir)} if place == "nvme" else {}


def _filled_by_the_trainer() -> Config:
    return {
        "train_micro_batch_size_per_gpu": AUTO,
        "gradient_accumulation_steps": AUTO,
        "train_batch_size": AUTO,
        "gradient_clipping": AUTO,
        "bf16": {"enabled": AUTO},
        "steps_per_print": 10**9,  # never: the run prints its own lines
        # this clock, which is not used, waits for the GPU before every forward pass and after every step
        "timers": {"throughput": {"enabled": False}},
        "zero_force_ds_cpu_optimizer": False,
    }


def config_of(zero: ZeroSection, model: ModelSection, trainer: Mapping[str, Any], device: str, ranks: int) -> Config:
    """The configuration of a run: from the `zero` section, or the completed file that `zero.config` names.

    UserError if that file cannot be read, or if it contains something that DeepSpeed refuses or that contradicts the
    recipe.
    """
    ours = deepspeed_config(zero, device)
    if zero.config is None:
        return ours
    users = read_config(zero.config)
    refused = list(faults(users))
    if refused:
        raise UserError(f"zero.config={zero.config}: {'; '.join(refused)}")
    contradictions = list(conflicts(users, zero, model, trainer, ranks))
    if contradictions:
        raise UserError(
            f"zero.config={zero.config} contradicts the recipe: {'; '.join(contradictions)}; "
            "use auto there, or the same value in both"
        )
    # The user's values take precedence; the stage is the recipe's, since DeepSpeed does not accept "auto" as a stage.
    offload = {name: value for name, value in ours["zero_optimization"].items() if name.startswith("offload")}
    section = {**offload, **_whole_saves(zero.stage), **users.get("zero_optimization", {}), "stage": zero.stage}
    return {
        **_filled_by_the_trainer(),
        **users,
        "zero_optimization": _without_auto(section, ours["zero_optimization"]),
    }


def _whole_saves(stage: int) -> Config:
    """Without this key a checkpoint of stage 3 contains placeholders instead of weights."""
    return {GATHERED: True} if stage == 3 else {}


def _without_auto(users: Config, ours: Config) -> Config:
    """`users` with our value in place of each auto, at any depth; an auto without a value of ours stays."""
    filled: Config = {}
    for name, value in users.items():
        if isinstance(value, dict):
            filled[name] = _without_auto(value, ours.get(name, {}))
        else:
            filled[name] = ours.get(name, AUTO) if value == AUTO else value
    return filled


def _without_repeats(pairs: list[tuple[str, Any]]) -> Config:
    """An object of the JSON; ValueError for duplicate keys, of which only the last would count."""
    for name, count in Counter(name for name, _ in pairs).items():
        if count > 1:
            raise ValueError(f"{name!r} occurs {count} times in one object")
    return dict(pairs)


def read_config(path: Path) -> Config:
    """The JSON object at `path`; UserError if there is none."""
    try:
        config = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_without_repeats)
    except OSError as fault:
        raise UserError(f"zero.config={path}: cannot be read ({fault.strerror}); name a DeepSpeed JSON file") from None
    except ValueError as fault:
        raise UserError(f"zero.config={path}: not valid JSON ({fault})") from None
    if not isinstance(config, dict):
        raise UserError(f"zero.config={path}: a DeepSpeed configuration is a JSON object, not {shown(config)}")
    section = config.get("zero_optimization", {})
    if not isinstance(section, dict):
        raise UserError(f"zero.config={path}: zero_optimization={shown(section)} must be a JSON object")
    return config


def conflicts(
    users: Config, zero: ZeroSection, model: ModelSection, trainer: Mapping[str, Any], ranks: int
) -> Iterator[str]:
    """Each contradiction between the user's file and the recipe, with both keys and both values."""
    settings = {**_trainer_settings(trainer, ranks), **_section_settings(zero, model)}
    for key, (recipe_key, expected) in settings.items():
        value = _at(users, key)
        if value not in (None, AUTO) and value != expected:
            yield f"{key}={shown(value)} against {recipe_key}={shown(expected)}"
    if zero.stage == 3 and _at(users, f"zero_optimization.{GATHERED}") is False:
        yield f"zero_optimization.{GATHERED}=false: checkpoints would contain no weights"
    if _at(users, "fp16.enabled") not in (None, AUTO, False):
        yield f"fp16.enabled=true against model.dtype={model.dtype} (training in float16 is not supported)"
    if "optimizer" in users and "optim" in trainer:
        yield f"optimizer against trainer.optim={trainer['optim']}"
    if "scheduler" in users:
        yield "scheduler against trainer.lr_scheduler_type (the learning rate is the trainer's)"


def _trainer_settings(trainer: Mapping[str, Any], ranks: int) -> dict[str, tuple[str, Any]]:
    """Dotted keys of DeepSpeed, each with the trainer section's key and value (or SFTConfig's default) for it."""
    batch, names = Batch.of(trainer), ("learning_rate", "adam_epsilon", "weight_decay", "max_grad_norm")
    rate, epsilon, decay, clipping = ((f"trainer.{name}", setting(trainer, name)) for name in names)
    betas = [setting(trainer, "adam_beta1"), setting(trainer, "adam_beta2")]
    return {
        "train_micro_batch_size_per_gpu": ("trainer.per_device_train_batch_size", batch.micro_batch),
        "gradient_accumulation_steps": ("trainer.gradient_accumulation_steps", batch.accumulation_steps),
        "train_batch_size": (f"micro batch × accumulation × {ranks} ranks", batch.global_batch(ranks)),
        "gradient_clipping": clipping,
        "optimizer.params.lr": rate,
        "optimizer.params.betas": ("trainer.adam_beta1, adam_beta2", betas),
        "optimizer.params.eps": epsilon,
        "optimizer.params.weight_decay": decay,
    }


def _section_settings(zero: ZeroSection, model: ModelSection) -> dict[str, tuple[str, Any]]:
    """The same for the other sections."""
    return {
        "bf16.enabled": ("model.dtype=bfloat16", model.dtype == "bfloat16"),
        "zero_optimization.stage": ("zero.stage", zero.stage),
        "zero_optimization.offload_optimizer.device": ("zero.offload_optimizer", zero.offload_optimizer),
        "zero_optimization.offload_param.device": ("zero.offload_parameters", zero.offload_parameters),
    }


def _at(config: Config, key: str) -> Any:
    """The value at a dotted key; None if there is none."""
    value: Any = config
    for name in key.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def record_config(trainer: Any) -> None:
    """Writes deepspeed.json, as passed to DeepSpeed, into the run folder: on rank 0, and only if DeepSpeed is used."""
    plugin = trainer.accelerator.state.deepspeed_plugin
    if plugin is not None and trainer.args.process_index == 0:
        text = json.dumps(plugin.deepspeed_config, indent=2, default=str) + "\n"
        write_whole(RunFolder(Path(trainer.args.output_dir)).deepspeed, text)
