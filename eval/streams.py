"""Random streams: each (seed, problem, sample, purpose) has its own uniform numbers.

So a sampled token depends only on its own stream and logits: not on batch size, order, rank or training.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch

LIKELIEST = 256
"""tokens of a row that are examined first; the nucleus of a real model is nearly always smaller"""

SUM_BLOCK = 512


@dataclass(frozen=True)
class Sampling:
    """The steps applied to logits before a token is drawn, in this order: temperature, top_k, top_p, min_p.

    This is the order of transformers. vLLM applies min_p before top_k and top_p, so the nucleus is then measured on
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
    then to tokens with at least min_p of the likeliest token's probability (Nguyen et al. 2024, Min-p sampling).

    logits [rows, vocabulary], uniform [rows] in [0, 1). Tokens are ordered by descending probability, ties by id, so
    that the cut and the inversion use one order. Computed in float32 and summed in float64. The whole vocabulary is
    sorted only for rows that the likeliest tokens do not decide. A row with NaN or infinity, which has no distribution,
    gives the token of greedy decoding.
    """
    tokens, is_decided = sample_likeliest(logits, uniform, sampling)
    if not is_decided.all():
        undecided = (~is_decided).nonzero().squeeze(1)
        scaled = logits[undecided].float() / sampling.temperature
        uniform = uniform.to(undecided.device)[undecided]
        tokens[undecided] = _draw(scaled, uniform, sampling, scaled.shape[1])[0]
    return tokens


def sample_likeliest(
    logits: torch.Tensor, uniform: torch.Tensor, sampling: Sampling
) -> tuple[torch.Tensor, torch.Tensor]:
    """The token ids [rows] of `sample_tokens`, and whether the likeliest tokens decide them [rows]; other ids must not
    be used. Does not synchronise with the host."""
    scaled = logits.float() / sampling.temperature
    return _draw(scaled, uniform, sampling, min(sampling.top_k + LIKELIEST, scaled.shape[1]))


def _draw(
    scaled: torch.Tensor, uniform: torch.Tensor, sampling: Sampling, count: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids [rows] as far as the `count` likeliest tokens decide them, and whether they do [rows].

    Below, tensors of [rows, count] hold the likeliest tokens of each row by descending probability.
    """
    ordered, ids = _ordered(scaled, count)  # [rows, count]
    is_whole = count == scaled.shape[1]
    # Tokens that tie with the last of `ordered` may have been left out, so the order among them is unknown.
    has_sure_place = torch.ones_like(ids, dtype=torch.bool) if is_whole else ordered > ordered[:, -1:]
    if sampling.top_k:
        ordered[:, sampling.top_k :] = -torch.inf
    weights = (ordered - ordered[:, :1]).exp()
    # With top_k, only the likeliest matter; without it, the sum needs the whole vocabulary, unsorted.
    all_weights = weights if is_whole or sampling.top_k else (scaled - ordered[:, :1]).exp()
    # In float64, since over a large vocabulary float32 sums lose more than the probability of a rare token.
    probabilities = weights.double() / all_weights.sum(dim=-1, keepdim=True, dtype=torch.float64)
    before = running_sums(probabilities) - probabilities
    kept = (before < sampling.top_p) & (probabilities >= sampling.min_p * probabilities[:, :1]) & (probabilities > 0)
    cumulative = running_sums(probabilities * kept)
    # If a cut falls among the likeliest, the kept tokens are the whole distribution and are scaled to one (by scaling
    # the target); if none does, the likeliest are part of a distribution whose mass is one already.
    is_cut = ~kept.all(dim=-1, keepdim=True)  # [rows, 1], as are all below
    # a tensor of ones: a plain 1.0 would be copied from the host, which a CUDA graph cannot hold
    mass = torch.where(is_cut, cumulative[:, -1:], torch.ones_like(cumulative[:, -1:]))
    target = uniform.to(cumulative).unsqueeze(1) * mass
    place = torch.searchsorted(cumulative, target, right=True)
    last_kept = (kept.sum(dim=-1, keepdim=True) - 1).clamp(min=0)  # nothing is kept of a row that is not finite
    at = place.minimum(last_kept)
    # Without a cut the target may be beyond the likeliest; with top_p or min_p, the cut itself may be.
    nothing_to_cut = sampling.top_p >= 1 and sampling.min_p == 0
    is_decided = has_sure_place.gather(1, at) & (is_cut | is_whole | ((place < count) & nothing_to_cut))
    return ids.gather(1, at).squeeze(1), is_decided.squeeze(1)


def running_sums(values: torch.Tensor) -> torch.Tensor:
    """Cumulative sums of each row [rows, count]. Under `deterministic`, torch has no such operation on a GPU."""
    if values.is_cuda and torch.are_deterministic_algorithms_enabled():
        return sums_by_products(values)
    return values.cumsum(dim=-1)


def sums_by_products(values: torch.Tensor) -> torch.Tensor:
    """The same by products with triangles of ones: within blocks of a row, then over the blocks' sums."""
    count = values.shape[1]
    blocks = torch.nn.functional.pad(values, (0, -count % SUM_BLOCK)).unflatten(1, (-1, SUM_BLOCK))
    inside = blocks @ values.new_ones(SUM_BLOCK, SUM_BLOCK).triu()  # [rows, blocks, SUM_BLOCK]
    sums = inside[:, :, -1]  # [rows, blocks]
    before = sums @ values.new_ones(sums.shape[1], sums.shape[1]).triu(1)
    return (inside + before[:, :, None]).flatten(1)[:, :count]


def _ordered(scaled: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The `count` largest of each row and their ids, both [rows, count], largest first, ties by id.

    Which of the entries equal to the smallest are included is unspecified, unless the whole row is taken.
    """
    if count == scaled.shape[1]:
        ordered, ids = torch.sort(scaled, dim=-1, descending=True, stable=True)
        return ordered, ids
    values, ids = torch.topk(scaled, count, dim=-1)
    # topk does not order ties: sorted by id first, the stable sort by value then keeps ties in that order
    ids, by_id = ids.sort(dim=-1)
    ordered, by_value = values.gather(1, by_id).sort(dim=-1, descending=True, stable=True)
    return ordered, ids.gather(1, by_value)
