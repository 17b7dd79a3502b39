"""The teacher of a distillation: the frozen unpruned model, unsharded or sharded, in its dtype or in fewer bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.integrations.deepspeed import deepspeed_config, is_deepspeed_zero3_enabled

from data_prep.models import load_model
from recipes.loss import TeacherSection
from recipes.schema import ModelSection
from train.loss.teacher import Teacher
from train.quantised import in_bits


def open_teacher(section: TeacherSection, model: ModelSection) -> Callable[[torch.device], Teacher]:
    """Returns a function that gives the teacher on a device. An unsharded teacher is loaded now, before DeepSpeed's
    configuration is active and shards every later model; a sharded one is loaded when that function is called."""
    if section.zero:
        return lambda device: _sharded(_frozen(load_model(model.unpruned, model)))
    bits = {"quantization_config": in_bits(section.weights, model.dtype)} if section.weights != "model" else {}
    whole = _frozen(load_model(model.unpruned, model, **bits))

    def ready(device: torch.device) -> Teacher:
        if section.offload == "cpu" and device.type != "cpu":
            whole.get_output_embeddings().to(device)  # the kernel also reads the head in the backward pass
            return Teacher(whole, offloaded_from=device)
        # bitsandbytes puts weights on the device while loading, and does not allow moving them
        return Teacher(whole if bits else whole.to(device))  # type: ignore[arg-type]

    def marked(device: torch.device) -> Teacher:
        teacher = ready(device)
        if is_deepspeed_zero3_enabled():
            _mark_whole(teacher.model)
        return teacher

    return marked


def _mark_whole(model: PreTrainedModel) -> None:
    """Marks the head as available: under ZeRO-3 TRL's kernel reads this attribute, which plain weights do not have."""
    from deepspeed.runtime.zero.partition_parameters import ZeroParamStatus

    for parameter in model.get_output_embeddings().parameters():
        parameter.ds_status = ZeroParamStatus.AVAILABLE


def _frozen(model: PreTrainedModel) -> PreTrainedModel:
    return model.eval().requires_grad_(False)


def _sharded(model: PreTrainedModel) -> Teacher:
    """`model`, which was loaded sharded, in its own engine that gathers layer by layer."""
    import deepspeed

    engine, *_ = deepspeed.initialize(model=model, config=inference_config(deepspeed_config()))
    return Teacher(model, wrapper=engine.eval())


def inference_config(training: dict[str, Any]) -> dict[str, Any]:
    """The active configuration without keys that only training needs; offloaded parameters stay offloaded."""
    zero = {key: value for key, value in training["zero_optimization"].items() if key != "offload_optimizer"}
    dtypes: dict[str, Any] = {key: training[key] for key in ("bf16", "fp16") if key in training}
    return {"train_micro_batch_size_per_gpu": 1, **dtypes, "zero_optimization": zero}
