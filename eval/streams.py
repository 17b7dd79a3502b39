"""Random streams: each (seed, problem, sample, purpose) has uniform numbers of its own.

So a sampled token depends on nothing but its own stream and its own logits: not on batch size, order, rank or training.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch


def uniforms(count: int, *key: object) -> np.ndarray:
    """`count` numbers in [0, 1), float64, that belong to `key` alone (Philox keyed by SHA-256 of the key)."""
    digest = hashlib.sha256("\x1f".join(map(str, key)).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little"))).random(count)


def sample_tokens(logits: torch.Tensor, uniform: torch.Tensor, temperature: float, top_p: float, top_k: int
                  ) -> torch.Tensor:
    """Token ids [rows] by inverse transform of softmax(logits / temperature), cut to top_k, then to the nucleus top_p.

    logits [rows, vocabulary], uniform [rows] in [0, 1). Tokens are ordered by descending probability, ties by id, so
    that the cut and the inversion use one order. Worked in float32 and summed in float64.
    """
    ordered, ids = torch.sort(logits.float() / temperature, dim=-1, descending=True, stable=True)
    if top_k:
        ordered[:, top_k:] = -torch.inf
    probabilities = torch.softmax(ordered, dim=-1).double()
    before = probabilities.cumsum(dim=-1) - probabilities
    probabilities[before >= top_p] = 0.0
    cumulative = probabilities.cumsum(dim=-1)
    target = uniform.to(cumulative).unsqueeze(1) * cumulative[:, -1:]
    chosen = torch.searchsorted(cumulative, target, right=True).clamp_(max=logits.shape[1] - 1)
    return ids.gather(1, chosen).squeeze(1)
