"""Kernels of a model in training: where they are used, and that each norm, MLP and rotation reaches them, exactly.

Liger's own run on GPUs only; here torch's functions stand in for them, which transformers' classes do not call.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest
import torch
from torch.nn import functional

from recipes.errors import UserError
from tests.prune.models import TOKENS, build
from train.fused_kernels import FAMILIES, Ground, Kernels, are_used, fused, kernels_of

GPU = Ground("cuda", True, "qwen3")
BUILT = {"llama": "llama", "mistral": "mistral", "qwen2": "qwen2_mixed", "qwen3": "qwen3", "smollm3": "smollm3"}


def counting(calls: Counter[str]) -> Kernels:
    def rms_norm(states: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
        calls["rms_norm"] += 1
        return functional.rms_norm(states, weight.shape, weight, epsilon)

    def swiglu(gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
        calls["swiglu"] += 1
        return gate * gate.sigmoid() * up

    def rope(q: torch.Tensor, k: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> Any:
        """A rotation of pairs as complex numbers."""
        calls["rope"] += 1
        half = q.shape[-1] // 2
        turn = torch.complex(cos[..., :half], sin[..., :half])[:, None]
        turned = [torch.complex(x[..., :half], x[..., half:]) * turn for x in (q, k)]
        return tuple(torch.cat((x.real, x.imag), dim=-1) for x in turned)

    return Kernels("cpu", rms_norm, swiglu, rope)


def step(model: Any) -> tuple[torch.Tensor, list[torch.Tensor]]:
    model.zero_grad()
    logits = model(input_ids=TOKENS, use_cache=False).logits
    logits.square().mean().backward()
    return logits.detach(), [parameter.grad.clone() for parameter in model.parameters()]


@pytest.mark.parametrize("family", FAMILIES)
def test_values_and_gradients_are_those_of_transformers(family: str) -> None:
    model = build(BUILT[family])
    logits, gradients = step(model)
    with fused(model, counting(Counter())):
        fast, faster = step(model)
    assert torch.allclose(fast, logits, atol=1e-4, rtol=1e-4)
    assert all(torch.allclose(a, b, atol=1e-5, rtol=1e-3) for a, b in zip(faster, gradients, strict=True))


def test_every_norm_mlp_and_rotation_of_a_layer_reaches_them() -> None:
    model, calls = build("qwen3"), Counter[str]()
    with fused(model, counting(calls)):
        model(input_ids=TOKENS)
    layers = model.config.num_hidden_layers
    assert calls == {"rms_norm": 4 * layers + 1, "swiglu": layers, "rope": layers}


def test_under_adapters_too() -> None:
    from peft import LoraConfig, get_peft_model

    adapted, calls = get_peft_model(build("qwen3"), LoraConfig(target_modules="all-linear")), Counter[str]()
    with fused(adapted.get_base_model(), counting(calls)):
        adapted(input_ids=TOKENS)
    assert set(calls) == {"rms_norm", "swiglu", "rope"}


def test_a_sweep_is_left_to_transformers() -> None:
    """Its scores are compared with those of references, which no kernel computed."""
    model, calls = build("qwen3"), Counter[str]()
    with fused(model, counting(calls)), torch.inference_mode():
        model(input_ids=TOKENS)
    assert calls == {}


def test_tensors_of_another_device_are_left_to_transformers() -> None:
    """The export runs on a CPU in the process that trained on a GPU."""
    model, calls = build("qwen3"), Counter[str]()
    with fused(model, replace(counting(calls), device="cuda")):
        model(input_ids=TOKENS)
    assert calls == {}


def test_other_models_of_the_family_keep_their_classes_and_all_comes_back() -> None:
    code = import_module("transformers.models.qwen3.modeling_qwen3")
    before = (code.apply_rotary_pos_emb, code.Qwen3RMSNorm, code.Qwen3MLP)
    model = build("qwen3")
    with fused(model, counting(Counter())):
        assert (code.Qwen3RMSNorm, code.Qwen3MLP) == before[1:]
    with pytest.raises(IndexError), fused(model, counting(Counter())):
        model(input_ids=TOKENS + 100)  # no such token
    assert (code.apply_rotary_pos_emb, code.Qwen3RMSNorm, code.Qwen3MLP) == before
    assert [name for name, module in model.named_modules() if "forward" in vars(module)] == []


def test_another_activation_than_silu_is_left_alone() -> None:
    model, calls = build("llama"), Counter[str]()
    model.config.hidden_act = "gelu"
    with fused(model, counting(calls)):
        model(input_ids=TOKENS)
    assert (calls["swiglu"], calls["rope"]) == (0, model.config.num_hidden_layers)


@pytest.mark.parametrize(
    ("trainer", "ground", "used"),
    [
        ({}, GPU, True),
        ({"use_liger_kernel": True}, GPU, True),
        ({"use_liger_kernel": False}, GPU, False),
        ({}, replace(GPU, installed=False), False),
        ({}, replace(GPU, device="cpu"), False),
        ({}, replace(GPU, family="gemma2"), False),
        ({"torch_compile": True}, GPU, False),
    ],
)
def test_where_they_are_used(trainer: dict[str, Any], ground: Ground, used: bool) -> None:
    assert are_used(trainer, ground) is used


@pytest.mark.parametrize(
    ("ground", "more", "fault"),
    [
        (replace(GPU, installed=False), {}, "liger-kernel is not installed; pip install 'chainmend\\[gpu\\]'"),
        (replace(GPU, device="cpu"), {}, "need a GPU"),
        (replace(GPU, family="gemma2"), {}, "there are no kernels for gemma2"),
        (GPU, {"torch_compile": True}, "trainer.torch_compile=true fuses kernels itself"),
    ],
)
def test_what_is_asked_for_and_cannot_be_is_refused(ground: Ground, more: dict[str, Any], fault: str) -> None:
    with pytest.raises(UserError, match=f"trainer.use_liger_kernel=true: .*{fault}"):
        are_used({"use_liger_kernel": True, **more}, ground)


@pytest.mark.parametrize(
    ("parts", "fault"),
    [
        ({"fused_linear_cross_entropy": True}, "must be one of rms_norm, swiglu, rope"),
        ({"rope": "off"}, "liger_kernel_config.rope=off: must be true or false"),
    ],
)
def test_unknown_parts_are_refused(parts: dict[str, Any], fault: str) -> None:
    with pytest.raises(UserError, match=fault):
        are_used({"liger_kernel_config": parts}, replace(GPU, device="cpu"))


def test_a_broken_package_is_named_with_the_way_round_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "liger_kernel.ops", None)  # as Python marks what cannot be imported
    with pytest.raises(UserError, match="cannot be imported .*trainer.use_liger_kernel=false"):
        kernels_of({}, GPU)


def test_a_run_without_kernels_imports_nothing() -> None:
    assert kernels_of({"use_liger_kernel": False}, GPU) is None
