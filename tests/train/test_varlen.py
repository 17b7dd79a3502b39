"""One kernel for a packed row: where it is taken, and that it is asked for what each trace alone would get.

The kernel itself is CUDA's. Here torch's own operator gets a CPU kernel for the tests, written down from its
documentation; everything above it is real.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn.attention import varlen as torch_varlen

from tests.prune.models import build
from tests.train.test_packed_attention import inputs_of, packed_examples, parts
from train import varlen
from train.packed_attention import packed_collator, split_attention
from train.varlen import NEEDED, Site, site_of, usable, varlen_attention

LENGTHS = (9, 1, 5)
HEADS, PAIRS, SIZE = 4, 2, 8
CALLS: list[int] = []
GPU = Site("cuda", (9, 0), frozenset(NEEDED))


def allowed(cu_seq: torch.Tensor, window: list[int]) -> torch.Tensor:
    """[tokens, tokens]: which column a row may see, by the operator's documentation."""
    at = torch.arange(int(cu_seq[-1]))
    trace = torch.bucketize(at, cu_seq[1:].long(), right=True)
    back = at[:, None] - at[None, :]
    seen = trace[:, None] == trace[None, :]
    left, right = window
    if left >= 0:
        seen &= back <= left
    return seen & (-back <= right) if right >= 0 else seen


def shares(q: torch.Tensor, k: torch.Tensor, seen: torch.Tensor, scale: float) -> torch.Tensor:
    """[heads, tokens, tokens]: how much each token takes of each."""
    scores = torch.einsum("qhd,khd->hqk", q, grouped(k, q)) * scale
    return scores.masked_fill(~seen, -torch.inf).softmax(-1)


def grouped(states: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    return states.repeat_interleave(q.shape[1] // states.shape[1], 1)


def forward(q: Any, k: Any, v: Any, cu_q: Any, cu_k: Any, max_q: int, max_k: int, *rest: Any) -> Any:
    CALLS.append(max_q)
    _, scale, window = rest[:3]
    out = torch.einsum("hqk,khd->qhd", shares(q, k, allowed(cu_q, window), scale), grouped(v, q))
    return out, q.new_zeros(q.shape[1], q.shape[0]), torch.zeros(2, dtype=torch.uint64)


def backward(grad: Any, q: Any, k: Any, v: Any, out: Any, lse: Any, cu_q: Any, *rest: Any) -> Any:
    *_, scale, window = rest
    taken = shares(q, k, allowed(cu_q, window), scale)
    of_taken = torch.einsum("qhd,khd->hqk", grad, grouped(v, q))
    of_scores = taken * (of_taken - (of_taken * taken).sum(-1, keepdim=True)) * scale
    of_k = torch.einsum("hqk,qhd->khd", of_scores, q)
    of_v = torch.einsum("hqk,qhd->khd", taken, grad)
    per_pair = (len(k), k.shape[1], -1, q.shape[2])
    return (
        torch.einsum("hqk,khd->qhd", of_scores, grouped(k, q)),
        of_k.reshape(per_pair).sum(2),
        of_v.reshape(per_pair).sum(2),
    )


@pytest.fixture(scope="module", autouse=True)
def cpu_kernel() -> None:
    torch.library.register_kernel("torch_attn::_varlen_attn", "cpu", forward)
    torch.library.register_kernel("torch_attn::_varlen_attn_backward", "cpu", backward)


def states(dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    """Query, key and value [1, heads, tokens, size], views of what projections would write."""
    torch.manual_seed(0)
    shapes = [(1, sum(LENGTHS), heads, SIZE) for heads in (HEADS, PAIRS, PAIRS)]
    return [torch.randn(shape).to(dtype).transpose(1, 2).requires_grad_() for shape in shapes]


def with_gradients(out: torch.Tensor, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
    torch.manual_seed(1)
    return [out, *torch.autograd.grad(out, inputs, torch.randn(out.shape).to(out.dtype))]


def by_kernel(extras: dict[str, Any], dtype: torch.dtype = torch.float32, lengths: Any = LENGTHS) -> list[torch.Tensor]:
    inputs = states(dtype)
    borders = torch.tensor([0, *lengths]).cumsum(0).to(torch.int32)
    return with_gradients(varlen_attention(*inputs, borders, max(lengths), extras), inputs)


def trace_by_trace(extras: dict[str, Any], dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    inputs, layer = states(dtype), SimpleNamespace(num_key_value_groups=HEADS // PAIRS, is_causal=True)
    out = split_attention(layer, *inputs, LENGTHS, extras)  # type: ignore[arg-type]
    return with_gradients(out, inputs)


def difference(left: list[torch.Tensor], right: list[torch.Tensor]) -> float:
    return max(float((a.detach().float() - b.detach().float()).abs().max()) for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize("window", [None, 1, 3, 9, 20])
def test_values_and_gradients_are_those_of_each_trace_alone(window: int | None) -> None:
    extras = {"scaling": 0.3, "sliding_window": window}
    assert difference(by_kernel(extras), trace_by_trace(extras)) < 1e-5


def test_in_bfloat16_they_differ_by_rounding() -> None:
    extras = {"scaling": 0.3}
    exact = trace_by_trace(extras)
    assert difference(by_kernel(extras, torch.bfloat16), exact) < 4 * torch.finfo(torch.bfloat16).eps


def test_that_comparison_sees_a_leak_between_neighbours() -> None:
    """A border that lies one token too early lets a trace see the last token of the one before."""
    extras = {"scaling": 0.3}
    assert difference(by_kernel(extras, lengths=(8, 2, 5)), trace_by_trace(extras)) > 1e-2


def test_without_support_for_groups_of_heads_they_are_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    extras, before = {"scaling": 0.3}, by_kernel({"scaling": 0.3})
    monkeypatch.setattr(varlen, "parameters", lambda: frozenset(NEEDED))
    assert difference(by_kernel(extras), before) < 1e-5


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_whole_model_has_the_gradients_of_each_trace_alone(
    monkeypatch: pytest.MonkeyPatch, checkpointing: bool
) -> None:
    """Mistral with the kernel in every layer of a packed row, recomputed or not."""
    model = build("mistral")  # its window is shorter than a trace
    sum(model(input_ids=part, use_cache=False).logits.square().sum() for part in parts()).backward()
    alone = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    batch = packed_collator(model, 0)(packed_examples())
    # the tests' kernel has no limits of its own
    monkeypatch.setattr("train.packed_attention.usable", lambda *_: True)
    CALLS.clear()
    if checkpointing:
        model.train().activation_checkpointing_enable({"use_reentrant": False})
    model(**inputs_of(batch), use_cache=False).logits.square().sum().backward()
    packed = [parameter.grad for parameter in model.parameters()]
    assert len(CALLS) == model.config.num_hidden_layers * (2 if checkpointing else 1)
    assert all(float((a - b).abs().max() / b.abs().max()) < 1e-4 for a, b in zip(packed, alone, strict=True))


@pytest.mark.parametrize(
    ("site", "dtype", "size", "extras", "taken"),
    [
        (GPU, torch.bfloat16, 128, {}, True),
        (GPU, torch.float16, 64, {"dropout": 0.0, "sliding_window": 512, "softcap": None}, True),
        (GPU, torch.float32, 128, {}, False),
        (GPU, torch.bfloat16, 100, {}, False),
        (GPU, torch.bfloat16, 256, {}, True),
        (GPU, torch.bfloat16, 264, {}, False),
        (GPU, torch.bfloat16, 128, {"dropout": 0.1}, False),
        (GPU, torch.bfloat16, 128, {"softcap": 50.0}, False),
        (GPU, torch.bfloat16, 128, {"position_bias": torch.zeros(1)}, False),
        (Site("cuda", (7, 5), GPU.parameters), torch.float16, 128, {}, False),
        (Site("cuda", (8, 9), GPU.parameters), torch.bfloat16, 192, {}, True),
        (Site("cuda", (8, 9), GPU.parameters), torch.bfloat16, 256, {}, False),
        (Site("cuda", (9, 0), frozenset({"is_causal"})), torch.bfloat16, 128, {}, False),
        (Site("cuda", (9, 0), frozenset()), torch.bfloat16, 128, {}, False),
        (Site("cpu", (0, 0), GPU.parameters), torch.bfloat16, 128, {}, False),
    ],
)
def test_where_the_kernel_is_taken(
    site: Site, dtype: torch.dtype, size: int, extras: dict[str, Any], taken: bool
) -> None:
    assert usable(site, dtype, size, extras) is taken


def test_the_installed_torch_has_it_and_a_cpu_does_not_take_it() -> None:
    site = site_of(torch.device("cpu"))
    assert (varlen.in_torch(), site.device, site.capability) == (True, "cpu", (0, 0))
    assert site.parameters == varlen.parameters() and callable(torch_varlen.varlen_attn)
