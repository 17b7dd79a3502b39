"""QLoRA: refusals, and with bitsandbytes a real run on 4-bit weights whose export answers as the trained model did."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from recipes.errors import UserError
from recipes.loader import load
from tests.train.runs import small
from train.quantised import check_quantised, load_to_train

HAS_BITSANDBYTES = find_spec("bitsandbytes") is not None


@pytest.mark.skipif(HAS_BITSANDBYTES, reason="bitsandbytes is installed")
def test_without_bitsandbytes_it_is_refused_with_what_to_install() -> None:
    with pytest.raises(UserError, match=r"adapter\.method=qlora needs bitsandbytes"):
        check_quantised(load(small("lora", Path("run"), Path("cache"), "adapter.method=qlora")))


@pytest.mark.skipif(not HAS_BITSANDBYTES, reason="needs bitsandbytes: pip install 'chainmend[qlora]'")
def test_zero_3_is_refused() -> None:
    with pytest.raises(UserError, match=r"zero\.stage=3: 4-bit weights cannot be sharded"):
        check_quantised(load(small("lora", Path("run"), Path("cache"), "adapter.method=qlora", "zero.stage=3")))


def test_other_adapters_need_nothing() -> None:
    check_quantised(load(small("lora", Path("run"), Path("cache"), "zero.stage=3")))


@pytest.fixture(scope="module")
def trained(here: Callable[..., Path]) -> Path:
    return here("lora", "adapter.method=qlora", "trainer.max_steps=4", "sweep.every_steps=1000")


@pytest.mark.slow
@pytest.mark.skipif(not HAS_BITSANDBYTES, reason="needs bitsandbytes: pip install 'chainmend[qlora]'")
def test_the_export_answers_as_the_model_in_4_bits_did(trained: Path) -> None:
    recipe = load(small("lora", trained, trained, "adapter.method=qlora"))
    base = load_to_train(str(trained / "pruned"), recipe.model, recipe.adapter)
    assert base.model.layers[0].self_attn.q_proj.weight.dtype == torch.uint8
    model = PeftModel.from_pretrained(base, str(trained / "checkpoint-4"), autocast_adapter_dtype=False)
    model.train()  # as it was trained: in evaluation on a CPU bitsandbytes multiplies in bfloat16
    exported = AutoModelForCausalLM.from_pretrained(trained / "export", dtype=torch.float32)
    tokens = torch.randint(100, (4, 32), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        difference = (model(input_ids=tokens).logits - exported(input_ids=tokens).logits).abs().max()
    assert float(difference) < 1e-3
    assert json.loads((trained / "export" / "export_report.json").read_text())["merged_difference"] < 1e-3
