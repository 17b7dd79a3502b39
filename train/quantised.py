"""QLoRA (arXiv 2305.14314): adapters over a base of 4-bit NF4 weights, by bitsandbytes.

The base stays quantised in training. The export is made of what those weights stand for: each is quantised and put back
in float32, and the adapter is merged into that.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import BitsAndBytesConfig, PreTrainedModel

from data_prep.models import DTYPES, load_model
from recipes.errors import UserError
from recipes.schema import AdapterSection, ModelSection, Recipe
from runtime.run_folder import RunFolder

KEPT = "lm_head"
"""the head, which transformers leaves as it is"""


def check_quantised(recipe: Recipe) -> None:
    """UserError where 4-bit weights are wanted and bitsandbytes is not there, or ZeRO-3 would cut them."""
    if recipe.adapter.method != "qlora":
        return
    if find_spec("bitsandbytes") is None:
        raise UserError(
            "adapter.method=qlora needs bitsandbytes, which is not installed; pip install "
            "'chainmend[qlora]', or use adapter.method=lora"
        )
    if recipe.zero.stage == 3:
        raise UserError("adapter.method=qlora with zero.stage=3: 4-bit weights are not sharded; use zero.stage=2")


def load_to_train(path: str, section: ModelSection, adapter: AdapterSection) -> PreTrainedModel:
    """The weights at `path` as the adapter wants them under it: in 4 bits for qlora, else in the section's dtype."""
    if adapter.method != "qlora":
        return load_model(path, section)
    return load_model(
        path,
        section,
        quantization_config=in_bits("4bit", section.dtype),
    )


def in_bits(weights: str, dtype: str) -> BitsAndBytesConfig:
    """How bitsandbytes holds weights: `4bit` (NF4, doubly quantised, computing in `dtype`) or `8bit`."""
    if weights == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=DTYPES[dtype],
    )


def keep_adapter_dtype(trainer: Any, section: ModelSection) -> None:
    """TRL makes adapters over 4-bit weights bfloat16; they are to have the recipe's dtype, for exact small updates."""
    for parameter in trainer.model.parameters() if getattr(trainer.model, "is_loaded_in_4bit", False) else ():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(DTYPES[section.dtype])


def as_trained(base: PreTrainedModel, checkpoint: Path) -> PreTrainedModel:
    """`base` with the values that its weights had in the run of `checkpoint`; changed in place."""
    recipe = RunFolder(checkpoint.parent).facts().get("recipe", {})
    if recipe.get("adapter", {}).get("method") == "qlora":
        check_quantised(Recipe.model_validate(recipe))
        from bitsandbytes.functional import dequantize_4bit, quantize_4bit

        trained_in = DTYPES[recipe["model"]["dtype"]]
        for name, module in base.named_modules():
            if isinstance(module, torch.nn.Linear) and not name.endswith(KEPT):
                packed, state = quantize_4bit(
                    module.weight.data.to(trained_in), quant_type="nf4", compress_statistics=True
                )
                module.weight.data = dequantize_4bit(packed, state).to(module.weight.dtype)
    return base
