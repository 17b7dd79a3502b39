"""The recipe's `zero` section as a DeepSpeed configuration."""

from __future__ import annotations

from typing import Any

from recipes.schema import ZeroSection


def deepspeed_config(zero: ZeroSection, device: str) -> dict[str, Any]:
    """The configuration that the Trainer completes ("auto" values). `device` is cuda or cpu.

    Without an optimizer of its own DeepSpeed wraps the Trainer's torch AdamW, so nothing has to be compiled; only where
    optimizer states are offloaded from a GPU does DeepSpeed's CPU Adam pay.
    """
    zero_optimization: dict[str, Any] = {
        "stage": zero.stage,
        "overlap_comm": device == "cuda",
        "contiguous_gradients": True,
        "reduce_bucket_size": zero.bucket_size,
    }
    if zero.stage in (1, 2):
        zero_optimization["allgather_bucket_size"] = zero.bucket_size
    if zero.stage == 3:
        zero_optimization["stage3_prefetch_bucket_size"] = zero.bucket_size
        zero_optimization["stage3_gather_16bit_weights_on_model_save"] = True
    for part, where in (("offload_optimizer", zero.offload_optimizer), ("offload_param", zero.offload_parameters)):
        if where != "none":
            zero_optimization[part] = {"device": where, "pin_memory": device == "cuda"}
    config: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
        "train_batch_size": "auto",
        "gradient_clipping": "auto",
        "bf16": {"enabled": "auto"},
        "steps_per_print": 10**9,
        "zero_force_ds_cpu_optimizer": False,
        "zero_optimization": zero_optimization,
    }
    if zero.offload_optimizer == "cpu" and device == "cuda":
        parameters = {"lr": "auto", "betas": "auto", "eps": "auto", "weight_decay": "auto"}
        config["optimizer"] = {"type": "AdamW", "params": parameters}
    return config
