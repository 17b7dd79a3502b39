"""QLoRA (arXiv 2305.14314): adapters over a base of 4-bit NF4 weights, by bitsandbytes.

The base stays quantised in training. For the export, each weight is quantised and dequantised to float32, and the
adapter is merged into the result.
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
"""the head, which transformers does not quantise"""


def check_quantised(recipe: Recipe) -> None:
    """UserError for 4-bit weights without bitsandbytes, or with ZeRO-3, which would shard them."""
    if recipe.adapter.method != "qlora":
        return
    if find_spec("bitsandbytes") is None:
        raise UserError(
            "adapter.method=qlora needs bitsandbytes, which is not installed; pip install "
            "'chainmend[qlora]', or use adapter.method=lora"
        )
    if recipe.zero.stage == 3:
        raise UserError("adapter.method=qlora with zero.stage=3: 4-bit weights cannot be sharded; use zero.stage=2")


def load_to_train(path: str, section: ModelSection, adapter: AdapterSection) -> PreTrainedModel:
    """The weights at `path` as the adapter needs them: in 4 bits for qlora, else in the section's dtype."""
    if adapter.method != "qlora":
        return load_model(path, section)
    return load_model(
        path,
        section,
        quantization_config=in_bits("4bit", section.dtype),
    )


def in_bits(weights: str, dtype: str) -> BitsAndBytesConfig:
    """The configuration of bitsandbytes: `4bit` (NF4, doubly quantised, computing in `dtype`) or `8bit`."""
    if weights == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=DTYPES[dtype],
    )


def keep_adapter_dtype(trainer: Any, section: ModelSection) -> None:
    """Restores the recipe's dtype of adapters over 4-bit weights: TRL makes them bfloat16, which loses small
    updates."""
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
