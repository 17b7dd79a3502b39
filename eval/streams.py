"""Random streams: each (seed, problem, sample, purpose) has uniform numbers of its own.

So a sampled token depends on nothing but its own stream and its own logits: not on batch size, order, rank or training.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Sampling:
    """What logits go through before a token is drawn, in this order: temperature, top_k, top_p, min_p.

    It is the order of transformers. vLLM applies min_p before top_k and top_p, so that there the nucleus is measured on
    what min_p leaves; without top_p the two agree.
    """

    temperature: float
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0


def uniforms(count: int, *key: object) -> np.ndarray:
    """`count` numbers in [0, 1), float64, that belong to `key` alone (Philox keyed by SHA-256 of the key)."""
    digest = hashlib.sha256("\x1f".join(map(str, key)).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little"))).random(count)


def sample_tokens(logits: torch.Tensor, uniform: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """Token ids [rows] by inverse transform of softmax(logits / temperature), cut to top_k, then to the nucleus top_p,
    then to what has at least min_p of the likeliest token's probability (Nguyen et al. 2024, Min-p sampling).

    logits [rows, vocabulary], uniform [rows] in [0, 1). Tokens are ordered by descending probability, ties by id, so
    that the cut and the inversion use one order. Worked in float32 and summed in float64.
    """
    ordered, ids = torch.sort(logits.float() / sampling.temperature, dim=-1, descending=True, stable=True)
    if sampling.top_k:
        ordered[:, sampling.top_k:] = -torch.inf
    probabilities = torch.softmax(ordered, dim=-1).double()
    before = probabilities.cumsum(dim=-1) - probabilities
    probabilities[before >= sampling.top_p] = 0.0
    probabilities[probabilities < sampling.min_p * probabilities[:, :1]] = 0.0
    cumulative = probabilities.cumsum(dim=-1)
    target = uniform.to(cumulative).unsqueeze(1) * cumulative[:, -1:]
    chosen = torch.searchsorted(cumulative, target, right=True).clamp_(max=logits.shape[1] - 1)
    return ids.gather(1, chosen).squeeze(1)
