"""Packed rows: each trace is computed as if it were alone, on every family; elsewhere packing is refused."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import numpy as np
import pytest
import torch
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS, AttentionInterface

from eval.engines.slot_attention import SLOTS
from eval.quiet import quiet
from recipes.errors import UserError
from tests.prune.models import FAMILIES, TOKENS, build
from train.packed_attention import (
    PACKED,
    SplitCollator,
    can_split,
    check_packable,
    compares_names,
    packed_collator,
)

LENGTHS = [[9, 5, 3], [6, 7], [1, 2]]  # sliding windows of these models see 4 tokens


def packed_examples() -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    return [
        {"input_ids": (ids := rng.integers(4, 53, sum(lengths))), "labels": ids, "seq_lengths": lengths}
        for lengths in LENGTHS
    ]


def parts() -> list[torch.Tensor]:
    """Every trace of the examples by itself."""
    return [
        torch.tensor(part)[None]
        for example in packed_examples()
        for part in np.split(example["input_ids"], np.cumsum(example["seq_lengths"])[:-1])
    ]


def inputs_of(batch: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in batch.items() if key != "labels"}


def built(family: str, attention: str) -> Any:
    model = build(family)
    model.set_attn_implementation(attention)
    return model


@torch.inference_mode()
@pytest.mark.parametrize(
    ("family", "attention"),
    [
        (family, attention)
        for family in FAMILIES
        for attention in ("sdpa", "eager")
        if (family, attention) != ("gemma2", "sdpa")
    ],
)  # transformers has no SDPA for it
def test_packed_logits_are_those_of_each_trace_alone(family: str, attention: str) -> None:
    model = built(family, attention)
    alone = torch.cat([model(input_ids=part, use_cache=False).logits[0] for part in parts()])
    batch = packed_collator(model, 0)(packed_examples())
    packed = model(**inputs_of(batch), use_cache=False).logits[0]
    assert float((packed - alone).abs().max()) <= (1e-5 if attention == "sdpa" else 3e-5)


@pytest.mark.parametrize("family", ["qwen3", "mistral"])
def test_packed_gradients_are_those_of_each_trace_alone(family: str) -> None:
    model = built(family, "sdpa")
    sum(model(input_ids=part, use_cache=False).logits.square().sum() for part in parts()).backward()
    alone = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    batch = packed_collator(model, 0)(packed_examples())
    model(**inputs_of(batch), use_cache=False).logits.square().sum().backward()
    worst = max(
        float((parameter.grad - alone[name]).abs().max() / alone[name].abs().max())
        for name, parameter in model.named_parameters()
    )
    assert worst < 1e-4


@torch.inference_mode()
def test_that_comparison_sees_traces_that_see_each_other() -> None:
    model, example = built("qwen3", "sdpa"), packed_examples()[0]
    together = model(input_ids=torch.tensor(example["input_ids"])[None], use_cache=False).logits[0]
    alone = torch.cat([model(input_ids=part, use_cache=False).logits[0] for part in parts()[:3]])
    assert float((together - alone).abs().max()) > 1e-2


@torch.inference_mode()
def test_what_is_not_packed_is_attended_to_as_before() -> None:
    model = built("qwen3", "sdpa")
    mask = torch.ones_like(TOKENS)
    mask[0, 7:] = 0
    before = model(input_ids=TOKENS, attention_mask=mask).logits
    packed_collator(model, 0)
    assert torch.equal(model(input_ids=TOKENS, attention_mask=mask).logits, before)


def test_a_batch_by_hand() -> None:
    batch = packed_collator(built("qwen3", "sdpa"), 0)(
        [
            {"input_ids": [5, 6, 7, 8, 9], "labels": [-100, 6, -100, 8, 9], "seq_lengths": [2, 3]},
            {"input_ids": [4, 4], "labels": [-100, 4], "seq_lengths": [2]},
        ]
    )
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8, 9, 4, 4]]
    assert batch["labels"].tolist() == [[-100, 6, -100, 8, 9, -100, 4]]
    assert batch["position_ids"].tolist() == [[0, 1, 0, 1, 2, 0, 1]]
    assert (batch["cu_seq_lens_q"].tolist(), int(batch["attention_mask"].sum())) == ([0, 2, 5, 7], 7)


def test_the_model_is_switched_and_the_sdpa_of_others_stays() -> None:
    model, other = built("qwen3", "sdpa"), built("qwen3", "sdpa")
    packed_collator(model, 0)
    assert (model.config._attn_implementation, other.config._attn_implementation) == (PACKED, "sdpa")
    assert ALL_ATTENTION_FUNCTIONS["sdpa"] is sdpa_attention_forward


def test_a_model_that_is_switched_already_gets_the_same_collator() -> None:
    model = built("qwen3", "sdpa")
    assert isinstance(packed_collator(model, 0), SplitCollator) and isinstance(packed_collator(model, 0), SplitCollator)


def test_nothing_that_is_saved_holds_the_name(tmp_path: Any) -> None:
    model = built("qwen3", "sdpa")
    packed_collator(model, 0)
    model.save_pretrained(tmp_path)
    saved = {file.name: file.read_text() for file in tmp_path.glob("*.json")}
    assert json.loads(saved["config.json"])["model_type"] == "qwen3"
    assert [name for name, text in saved.items() if PACKED in text] == []


def test_evaluation_takes_the_slots_and_gives_the_split_attention_back() -> None:
    model = built("qwen3", "sdpa")
    packed_collator(model, 0)
    with quiet(model):
        inside = model.config._attn_implementation
    assert (inside, model.config._attn_implementation) == (SLOTS, PACKED)


@pytest.mark.parametrize(("family", "compares"), [("qwen3", False), ("llama", False), ("falcon", True)])
def test_a_model_that_compares_the_name_of_its_attention_is_known(family: str, compares: bool) -> None:
    assert compares_names(import_module(f"transformers.models.{family}.modeling_{family}")) is compares


def test_a_model_with_attention_of_its_own_gets_the_mask_of_the_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    model = built("qwen3", "sdpa")
    monkeypatch.setattr("transformers.models.qwen3.modeling_qwen3.ALL_ATTENTION_FUNCTIONS", AttentionInterface())
    assert (can_split(model), isinstance(packed_collator(model, 0), SplitCollator)) == (False, False)


@pytest.mark.parametrize(
    ("layers", "attention", "fault"),
    [
        (["linear_attention", "full_attention"], "sdpa", "layers of the kind linear_attention carry one trace into"),
        (None, "flex_attention", "attention flex_attention does not separate the traces of a row"),
    ],
)
def test_models_on_which_packing_is_not_exact_are_refused(layers: list[str] | None, attention: str, fault: str) -> None:
    model = build("qwen3")
    model.config.layer_types = layers
    model.config._attn_implementation_internal = attention
    with pytest.raises(UserError, match=fault):
        check_packable(model)


def test_code_that_comes_with_a_model_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build("qwen3")
    monkeypatch.setattr(type(model), "__module__", "transformers_modules.theirs")
    with pytest.raises(UserError, match="has custom code"):
        check_packable(model)
