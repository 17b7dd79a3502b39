"""Finds, before a run starts, what DeepSpeed would refuse or silently ignore in the user's own JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from recipes.names import closest
from recipes.reading import shown

SECTIONS = (
    "zero_optimization",
    "bf16",
    "fp16",
    "torch_autocast",
    "optimizer",
    "scheduler",
    "activation_checkpointing",
    "aio",
    "compile",
    "flops_profiler",
    "comms_logger",
    "data_types",
    "checkpoint",
    "elasticity",
    "autotuning",
    "timers",
    "data_efficiency",
    "tensorboard",
    "wandb",
    "csv_monitor",
    "comet",
    "datastates_ckpt",
    "hybrid_engine",
    "expert_parallel",
    "tensor_parallel",
    "compression_training",
    "weight_quantization",
    "pipeline",
    "amp",
)
VALUES = (
    "train_batch_size",
    "train_micro_batch_size_per_gpu",
    "gradient_accumulation_steps",
    "gradient_clipping",
    "prescale_gradients",
    "gradient_predivide_factor",
    "gradient_allreduce_op",
    "communication_data_type",
    "seq_parallel_communication_data_type",
    "managed_gradient_accumulation",
    "disable_allgather",
    "dump_state",
    "disable_python_gc",
    "steps_per_print",
    "wall_clock_breakdown",
    "memory_breakdown",
    "log_level",
    "dataloader_drop_last",
    "use_data_before_expert_parallelism",
    "sparse_gradients",
    "use_node_local_storage",
    "zero_allow_untested_optimizer",
    "zero_force_ds_cpu_optimizer",
    "seed",
)
"""the top-level keys that DeepSpeed 0.19 reads from its JSON"""
OPTIMIZERS = ("Adam", "AdamW", "Adagrad", "Lion", "Lamb", "Muon", "MuAdam", "MuAdamW", "MuSGD")
"""DeepSpeed 0.19's own optimizers; it looks up any other name in torch.optim"""


def faults(config: dict[str, Any]) -> Iterator[str]:
    """Each key that DeepSpeed does not know and each value that it does not accept, with a correction.

    A key that begins with an underscore is a comment of the user and is allowed.
    """
    names = (*SECTIONS, *VALUES)
    for name, value in config.items():
        if name not in names and not name.startswith("_"):
            like = closest(name, names)
            yield f"{name} is not a key of DeepSpeed, which would ignore it{_instead(like)}"
        elif name in SECTIONS and not isinstance(value, dict):
            yield f"{name}={shown(value)} must be a JSON object"
    yield from _of_the_optimizer(config.get("optimizer"))
    yield from _of_zero(config.get("zero_optimization"))


def _instead(like: str | None) -> str:
    return f"; did you mean {like}?" if like else ""


def _of_the_optimizer(section: Any) -> Iterator[str]:
    import torch

    if not isinstance(section, dict):
        return
    name = section.get("type")
    if not isinstance(name, str):
        yield f"optimizer.type={shown(name)} must name an optimizer, such as AdamW"
    elif name.lower() not in map(str.lower, OPTIMIZERS) and not hasattr(torch.optim, name):
        yield f"optimizer.type={name} is neither one of DeepSpeed's ({', '.join(OPTIMIZERS)}) nor one of torch.optim"


def _of_zero(section: Any) -> Iterator[str]:
    from deepspeed.runtime.zero.config import DeepSpeedZeroConfig  # slow import; most recipes have no JSON

    if not isinstance(section, dict):  # absent, or reported by `faults`
        return
    try:
        DeepSpeedZeroConfig(**section)
    except ValidationError as invalid:
        for fault in invalid.errors():
            path = ".".join(map(str, ("zero_optimization", *fault["loc"])))
            if fault["type"] == "extra_forbidden":
                like = closest(str(fault["loc"][-1]), DeepSpeedZeroConfig.model_fields)
                yield f"{path} is not a key of DeepSpeed{_instead(like)}"
            else:
                yield f"{path}={shown(fault['input'])}: {fault['msg']}"
