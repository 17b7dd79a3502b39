"""The `trainer:` section: TRL 1.16 `SFTConfig` fields as data, so that their names and types are checked without torch.

A test holds TRAINER_FIELDS and CHOICES equal to the installed TRL and transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recipes.names import FOREIGN_NAMES, closest
from recipes.tracking import report_to_fault

# name -> the plain types it takes (an enum is written as "str"; "None" stands for null)
# fmt: off
TRAINER_FIELDS: dict[str, str] = {
    "output_dir": "str|None", "per_device_train_batch_size": "int", "num_train_epochs": "float", "max_steps": "int",
    "learning_rate": "float", "lr_scheduler_type": "str", "lr_scheduler_kwargs": "str|dict|None",
    "warmup_steps": "float", "optim": "str", "optim_args": "str|None", "weight_decay": "float", "adam_beta1": "float",
    "adam_beta2": "float", "adam_epsilon": "float", "optim_target_modules": "str|list|None",
    "gradient_accumulation_steps": "int", "average_tokens_across_devices": "bool", "max_grad_norm": "float",
    "label_smoothing_factor": "float", "bf16": "bool|None", "fp16": "bool", "bf16_full_eval": "bool",
    "fp16_full_eval": "bool", "tf32": "bool|None", "activation_checkpointing": "bool|None",
    "activation_checkpointing_kwargs": "str|dict|None", "gradient_checkpointing": "bool",
    "gradient_checkpointing_kwargs": "str|dict|None", "torch_compile": "bool", "torch_compile_backend": "str|None",
    "torch_compile_mode": "str|None", "use_liger_kernel": "bool", "liger_kernel_config": "dict|None",
    "use_cache": "bool", "neftune_noise_alpha": "float|None", "torch_empty_cache_steps": "int|None",
    "auto_find_batch_size": "bool", "logging_strategy": "str", "logging_steps": "float", "logging_first_step": "bool",
    "log_on_each_node": "bool", "logging_nan_inf_filter": "bool", "include_num_input_tokens_seen": "bool|str",
    "log_level": "str", "log_level_replica": "str", "disable_tqdm": "bool|None", "report_to": "str|list|None",
    "run_name": "str|None", "project": "str", "trackio_space_id": "str|None", "trackio_bucket_id": "str|None",
    "trackio_static_space_id": "bool|str|None", "eval_strategy": "str", "eval_steps": "float|None",
    "eval_delay": "float", "per_device_eval_batch_size": "int", "prediction_loss_only": "bool",
    "eval_on_start": "bool", "eval_do_concat_batches": "bool", "eval_use_gather_object": "bool",
    "eval_accumulation_steps": "int|None", "include_for_metrics": "list", "batch_eval_metrics": "bool",
    "save_only_model": "bool", "save_strategy": "str", "save_steps": "float", "save_on_each_node": "bool",
    "save_total_limit": "int|None", "enable_jit_checkpoint": "bool", "push_to_hub": "bool", "hub_token": "str|None",
    "hub_private_repo": "bool|None", "hub_model_id": "str|None", "hub_strategy": "str", "hub_always_push": "bool",
    "hub_revision": "str|None", "load_best_model_at_end": "bool", "metric_for_best_model": "str|None",
    "greater_is_better": "bool|None", "ignore_data_skip": "bool", "restore_callback_states_from_checkpoint": "bool",
    "full_determinism": "bool", "seed": "int", "data_seed": "int|None", "use_cpu": "bool",
    "accelerator_config": "str|dict|None", "parallelism_config": "None", "dataloader_drop_last": "bool",
    "dataloader_num_workers": "int", "dataloader_pin_memory": "bool", "dataloader_persistent_workers": "bool",
    "dataloader_prefetch_factor": "int|None", "dataloader_multiprocessing_context": "str|None",
    "dataloader_in_order": "bool", "remove_unused_columns": "bool", "label_names": "list|None",
    "train_sampling_strategy": "str", "length_column_name": "str", "ddp_find_unused_parameters": "bool|None",
    "ddp_bucket_cap_mb": "int|None", "ddp_broadcast_buffers": "bool|None", "ddp_static_graph": "bool|None",
    "ddp_backend": "str|None", "ddp_timeout": "int", "fsdp": "str|None", "fsdp_config": "str|dict|None",
    "deepspeed": "str|dict|None", "debug": "str|list", "skip_memory_metrics": "bool", "do_train": "bool",
    "do_eval": "bool", "do_predict": "bool", "resume_from_checkpoint": "str|None", "local_rank": "int",
    "model_init_kwargs": "str|dict|None", "trust_remote_code": "bool", "router_aux_loss_coef": "float|None",
    "chat_template_path": "str|None", "dataset_text_field": "str", "dataset_kwargs": "str|dict|None",
    "dataset_num_proc": "int|None", "eos_token": "str|None", "max_length": "int|None", "truncation_mode": "str",
    "shuffle_dataset": "bool", "packing": "bool", "packing_strategy": "str", "padding_free": "bool",
    "pad_to_multiple_of": "int|str|None", "eval_packing": "bool|None", "completion_only_loss": "bool|None",
    "assistant_only_loss": "bool", "loss_type": "str", "activation_offloading": "bool", "pad_token": "str|None",
}
# fmt: on

# fmt: off
CHOICES: dict[str, tuple[str, ...]] = {
    "lr_scheduler_type": (
        "linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup", "inverse_sqrt",
        "reduce_lr_on_plateau", "cosine_with_min_lr", "cosine_warmup_with_min_lr", "warmup_stable_decay", "greedy"),
    "log_level": ("detail", "debug", "info", "warning", "error", "critical", "passive"),
    "log_level_replica": ("detail", "debug", "info", "warning", "error", "critical", "passive"),
    "loss_type": ("nll", "dft"),
    "train_sampling_strategy": ("random", "sequential", "group_by_length", "batch_rebalance"),
    "logging_strategy": ("no", "steps", "epoch"),
    "save_strategy": ("no", "steps", "epoch", "best"),
    "optim": (
        "adamw_torch", "adamw_torch_fused", "adamw_torch_xla", "adamw_torch_npu_fused", "adafactor",
        "adamw_anyprecision", "adamw_torch_4bit", "adamw_torch_8bit", "ademamix", "sgd", "adagrad",
        "adamw_bnb_8bit", "adamw_8bit", "ademamix_8bit", "lion_8bit", "lion_32bit", "paged_adamw_32bit",
        "paged_adamw_8bit", "paged_ademamix_32bit", "paged_ademamix_8bit", "paged_lion_32bit",
        "paged_lion_8bit", "rmsprop", "rmsprop_bnb", "rmsprop_bnb_8bit", "rmsprop_bnb_32bit",
        "galore_adamw", "galore_adamw_8bit", "galore_adafactor", "galore_adamw_layerwise",
        "galore_adamw_8bit_layerwise", "galore_adafactor_layerwise", "lomo", "adalomo", "grokadamw",
        "schedule_free_radam", "schedule_free_adamw", "schedule_free_sgd", "apollo_adamw",
        "apollo_adamw_layerwise", "stable_adamw"),
}
# fmt: on

_EVALUATION = "needs an evaluation inside TRL"

# fmt: off
REFUSED_VALUES: dict[tuple[str, str], str] = {
    ("lr_scheduler_type", "reduce_lr_on_plateau"): f"{_EVALUATION}; use linear, cosine or another of fixed steps",
    ("lr_scheduler_type", "greedy"): f"{_EVALUATION}; use linear, cosine or another of fixed steps",
    ("max_steps", "0"): "the run would have no steps; write the number of steps, or -1 for num_train_epochs",
    ("save_strategy", "best"): f"{_EVALUATION}; use steps or epoch (the sweeps show the best step)",
}
# fmt: on

# fmt: off
AT_LEAST: dict[str, float] = {
    "per_device_train_batch_size": 1, "gradient_accumulation_steps": 1, "learning_rate": 0, "weight_decay": 0,
    "warmup_steps": 0, "max_grad_norm": 0, "num_train_epochs": 0, "save_total_limit": 1, "dataloader_num_workers": 0,
    "dataloader_prefetch_factor": 1, "ddp_timeout": 1, "label_smoothing_factor": 0, "pad_to_multiple_of": 1,
}
ABOVE_ZERO = ("logging_steps", "save_steps", "neftune_noise_alpha")
AT_MOST: dict[str, float] = {"label_smoothing_factor": 1}
# fmt: on

_LABELS = "chainmend makes prompt, completion and labels itself; see data.traces and data.format"
_PACKING = "use data.packing=true (best fit of whole traces)"
_SWEEP = "sweeps measure the model: use sweep.every_steps, sweep.suites"
_FSDP = "chainmend shards with DeepSpeed: zero.stage"
_TRACKING = "use wandb.project, wandb.name, wandb.mode"
_BEST = "use keep_best=sweep/<suite>/<metric>, and export.checkpoint=best"

# fields for things that chainmend does not do, each with what to do instead
# fmt: off
UNSUPPORTED: dict[str, str] = dict.fromkeys(
    ("push_to_hub", "hub_token", "hub_private_repo", "hub_model_id", "hub_strategy", "hub_always_push", "hub_revision"),
    "not supported; after the run: hf upload USER/NAME RUN/export",
)
# fmt: on

# fields that a recipe may not set, each with what to write instead
# fmt: off
OWNED: dict[str, str] = {
    "output_dir": "use run.dir", "deepspeed": "use zero.stage and the other zero keys",
    "resume_from_checkpoint": "use run.resume", "restore_callback_states_from_checkpoint": "use run.resume",
    "enable_jit_checkpoint": "chainmend itself saves and exits with code 75 when the job is preempted",
    "save_only_model": "the run could not resume; the export at the end of a run holds the model alone",
    "run_name": _TRACKING, "project": _TRACKING, "trackio_space_id": _TRACKING,
    "trackio_bucket_id": _TRACKING, "trackio_static_space_id": _TRACKING,
    "bf16": "use model.dtype=bfloat16", "fp16": "use model.dtype=bfloat16", "bf16_full_eval": "use model.dtype",
    "fp16_full_eval": "use model.dtype", "max_length": "use data.max_length_tokens", "seed": "use seed",
    "data_seed": "use seed", "model_init_kwargs": "use the model section",
    "trust_remote_code": "use model.trust_remote_code",
    "use_cpu": "the machine decides: a GPU is used if there is one",
    "local_rank": "the launcher sets it", "ddp_backend": "the machine decides", "fsdp": _FSDP, "fsdp_config": _FSDP,
    "parallelism_config": _FSDP, "dataset_kwargs": _LABELS, "dataset_text_field": _LABELS,
    "completion_only_loss": _LABELS, "assistant_only_loss": _LABELS, "label_names": _LABELS,
    "remove_unused_columns": _LABELS, "packing": _PACKING, "packing_strategy": _PACKING, "padding_free": _PACKING,
    "dataset_num_proc": "use data.workers", "shuffle_dataset": "a new order is drawn every epoch, from seed",
    "chat_template_path": "use data.format", "eos_token": "use data.format.stop",
    "pad_token": "the tokenizer's own is used; it may be the stop token, which is still trained",
    "truncation_mode": "nothing is truncated: data.overlong decides about long traces",
    "eval_strategy": _SWEEP, "eval_steps": _SWEEP, "eval_delay": _SWEEP, "eval_on_start": _SWEEP,
    "eval_packing": _SWEEP,
    "eval_do_concat_batches": _SWEEP, "eval_use_gather_object": _SWEEP, "eval_accumulation_steps": _SWEEP,
    "per_device_eval_batch_size": "use sweep.engine.batch_size", "prediction_loss_only": _SWEEP, "do_eval": _SWEEP,
    "include_for_metrics": _SWEEP, "batch_eval_metrics": _SWEEP, "do_train": "python -m eval only measures",
    "do_predict": _SWEEP, "load_best_model_at_end": _BEST, "metric_for_best_model": _BEST, "greater_is_better": _BEST,
    **UNSUPPORTED,
}
# fmt: on


def free_fields() -> dict[str, str]:
    """The fields a recipe may set: name -> types."""
    return {name: types for name, types in TRAINER_FIELDS.items() if name not in OWNED}


def check_trainer_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields with numbers made from text such as "5e-4".

    Raises ValueError with one line per fault (unknown name, wrong type or value, a field that chainmend sets).
    """
    checked, faults = {}, []
    for name, value in fields.items():
        number = _number(value, TRAINER_FIELDS.get(name, ""))
        fault = _fault(name, number)
        if fault is not None:
            faults.append(f"trainer.{name}={value}: {fault}")
        checked[name] = number
    if faults:
        raise ValueError("\n".join(faults))
    return checked


def _number(value: Any, types: str) -> Any:
    """Text that reads as a float becomes one; a whole float an int, or an int a float, if that is what the field takes.

    Else the value itself.
    """
    allowed = types.split("|")
    if type(value) is int and types == "float|None":  # the model's config checks the exact type
        return float(value)
    if isinstance(value, str) and "float" in allowed:
        try:
            return float(value)
        except ValueError:
            return value
    if isinstance(value, float) and "int" in allowed and "float" not in allowed and value.is_integer():
        return int(value)
    return value


def _fault(name: str, value: Any) -> str | None:
    if name in UNSUPPORTED:
        return UNSUPPORTED[name]
    if name in OWNED:
        return f"chainmend sets this field; {OWNED[name]}"
    if name not in TRAINER_FIELDS:
        return _unknown(name)
    if not _fits(value, TRAINER_FIELDS[name]):
        return f"must be {TRAINER_FIELDS[name].replace('|', ' or ').replace('None', 'null')}"
    return _wrong_value(name, value)


def _unknown(name: str) -> str:
    foreign = FOREIGN_NAMES.get(name)
    if foreign is not None:
        return f"not a field of TRL's SFTConfig; did you mean {foreign}?"
    near = closest(name, free_fields())
    hint = f"did you mean trainer.{near}?" if near else "--help lists the fields"
    return f"not a field of TRL's SFTConfig; {hint}"


def _fits(value: Any, types: str) -> bool:
    """Whether the value's type is among the types; an int does for a float, a bool for neither."""
    kind = "None" if value is None else type(value).__name__
    return kind in types.split("|") or (kind == "int" and "float" in types.split("|"))


def _wrong_value(name: str, value: Any) -> str | None:
    refused = REFUSED_VALUES.get((name, str(value)))
    if refused is not None:
        return refused
    if name == "report_to":
        return report_to_fault(value)
    if name in CHOICES and value not in CHOICES[name]:
        near = closest(str(value), CHOICES[name])
        hint = f"; did you mean {near}?" if near else ""
        shown = ", ".join(CHOICES[name][:12]) + (", ..." if len(CHOICES[name]) > 12 else "")
        return f"allowed: {shown}{hint}"
    if not isinstance(value, int | float):
        return None
    if name in AT_LEAST and not value >= AT_LEAST[name]:
        return f"must be at least {AT_LEAST[name]:g}"
    if name in ABOVE_ZERO and not value > 0:
        return "must be above 0"
    return f"must be at most {AT_MOST[name]:g}" if name in AT_MOST and value > AT_MOST[name] else None
