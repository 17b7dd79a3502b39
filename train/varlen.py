"""Attention of a packed row in one kernel: `torch.nn.attention.varlen`, which gets the boundaries of traces.

The kernel is FlashAttention's, in torch itself: half precision, NVIDIA cards since Ampere, no dropout and no soft cap.
`usable` says whether it applies; otherwise `train.packed_attention` computes trace by trace.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import torch

HALVES = (torch.bfloat16, torch.float16)
NEEDED = {"scale", "window_size"}
"""required parameters of the function: torch 2.10 has an earlier form without them"""
WIDEST_HEAD, WIDEST_HEAD_OF_SMALL_CHIPS = 256, 192
SMALL_CHIPS = {(8, 6), (8, 9), (12, 0), (12, 1)}
"""cards with less shared memory, which is too small for the backward pass of the widest heads"""
WITHOUT = ("softcap", "s_aux", "position_bias")
"""features of some families' attention that the kernel does not compute"""


@dataclass(frozen=True)
class Site:
    """Where attention is computed: the device's type and compute capability ((0, 0) if it has none), and the parameters
    of the installed torch's function (empty if there is no such function)."""

    device: str
    capability: tuple[int, int]
    parameters: frozenset[str]


def usable(site: Site, dtype: torch.dtype, head_size: int, extras: Mapping[str, Any]) -> bool:
    """Whether the kernel computes exactly the required attention; extras: the layer's other arguments."""
    widest = WIDEST_HEAD_OF_SMALL_CHIPS if site.capability in SMALL_CHIPS else WIDEST_HEAD
    return (
        site.parameters >= NEEDED
        and site.device == "cuda"
        and site.capability >= (8, 0)
        and dtype in HALVES
        and head_size % 8 == 0
        and head_size <= widest
        and not extras.get("dropout")
        and all(extras.get(name) is None for name in WITHOUT)
    )


def site_of(device: torch.device) -> Site:
    """The site of tensors on `device`."""
    capability = _capability(device.index or 0) if device.type == "cuda" else (0, 0)
    return Site(device.type, capability, parameters())


@cache
def _capability(index: int) -> tuple[int, int]:
    return torch.cuda.get_device_capability(index)


@cache
def parameters() -> frozenset[str]:
    """The parameter names of the installed torch's `varlen_attn`; empty if there is no such function."""
    try:
        return frozenset(inspect.signature(_function()).parameters)
    except (ImportError, AttributeError):
        return frozenset()


def in_torch() -> bool:
    """Whether the installed torch has the function in the form used here."""
    return parameters() >= NEEDED


def _function() -> Callable[..., torch.Tensor]:
    function: Callable[..., torch.Tensor] = import_module("torch.nn.attention.varlen").varlen_attn
    return function


def varlen_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    cu_seq_lens: torch.Tensor,
    longest: int,
    extras: Mapping[str, Any],
) -> torch.Tensor:
    """Causal attention of each trace to itself; query, key, value: [1, heads, tokens, size].

    cu_seq_lens: int32 [traces + 1], starts of the traces and end of the last; longest: tokens of the longest trace;
    extras: `scaling` and `sliding_window` of the layer; the latter includes the token itself. Returns [1, tokens,
    heads, size].
    """
    # the kernel's layout, [tokens, heads, size]: views of the projections' outputs
    q, k, v = (states.transpose(1, 2)[0] for states in (query, key, value))
    more: dict[str, Any] = {}
    if q.shape[1] != k.shape[1]:
        if "enable_gqa" in parameters():
            more["enable_gqa"] = True
        else:  # torch 2.11 supports only equal numbers of heads
            k, v = (states.repeat_interleave(q.shape[1] // k.shape[1], dim=1) for states in (k, v))
    window = extras.get("sliding_window")
    # the kernel's left window counts the tokens before a token; a window as long as every trace has no effect
    left = -1 if window is None or longest <= window else window - 1
    out = _function()(
        q,
        k,
        v,
        cu_seq_lens,
        cu_seq_lens,
        longest,
        longest,
        scale=extras.get("scaling"),
        window_size=(left, 0),
        **more,
    )
    return out[None]
