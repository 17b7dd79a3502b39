"""The gate of an export: the model that is read back from the disk must be the model that was trained.

A chain of three comparisons detects any wrong weight, whatever the dtype and the method:

    trained  → merged     float32 logits on prompts, their greedy continuation and random tokens: within the tolerance
    merged   → read back  every tensor, cast to the exported dtype: the same bits
    rounded  → read back  logits of the merged weights after the cast and of what plain transformers loads: within the
                          tolerance, so config and code interpret these weights as before

Last, the export is compared with the trained model: KL divergence and greedy agreement measure the effect of the cast,
and a cast that changes the model (`MOST_KL`) is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

from data_prep.models import DTYPES
from recipes.errors import UserError
from runtime.pulse import beat
from train.probes import Probes

GREEDY_TOKENS = 64
MOST_KL = 0.1
"""nats per token; casting a sound model to bfloat16 gives a hundredth of that"""


@dataclass(frozen=True)
class Witness:
    """The trained model's logits at the compared positions: on random tokens, [8, 48, vocabulary], and on the greedy
    continuation of the prompts, [prompts, 64, vocabulary] (None without prompts).

    sequences: token ids of each, [rows, tokens]; kept: how many of the last positions of each are compared.
    """

    sequences: tuple[Tensor, ...]
    kept: tuple[int, ...]
    logits: tuple[Tensor, ...]


@dataclass(frozen=True)
class Closeness:
    """How two models' logits differ over all compared positions.

    difference: the largest, in standard deviations of the logits; kl: mean divergence in nats per token; agreement:
    share of positions with the same most likely token.
    """

    difference: float
    kl: float
    agreement: float


def witness(trained: PreTrainedModel, probes: Probes) -> Witness:
    """The trained model's logits on the probes, and its greedy continuation of the prompts."""
    sequences, kept = [probes.random], [probes.random.shape[1]]
    if probes.prompts is not None:
        sequences.append(_continued(trained, probes.prompts))
        kept.append(GREEDY_TOKENS)
    empty = Witness(tuple(sequences), tuple(kept), ())
    return Witness(empty.sequences, empty.kept, tuple(logits_on(trained, empty)))


def _continued(model: PreTrainedModel, prompts: Tensor) -> Tensor:
    """The prompts, [prompts, tokens], followed by 64 greedily decoded tokens."""
    tokens, step, cache = prompts, prompts, None
    for _ in range(GREEDY_TOKENS):
        out = model(input_ids=step, past_key_values=cache, use_cache=True)
        cache, step = out.past_key_values, out.logits[:, -1:].argmax(-1)
        beat(len(prompts))
        tokens = torch.cat([tokens, step], dim=1)
    return tokens


def logits_on(model: PreTrainedModel, seen: Witness) -> list[Tensor]:
    """`model`'s logits, [rows, kept, vocabulary] of each sequence of the witness."""
    # The logits that predict the last `kept` tokens are one position earlier; random tokens are compared everywhere.
    return [
        model(input_ids=ids, use_cache=False).logits[:, -kept - 1 : -1]
        if kept < ids.shape[1]
        else model(input_ids=ids).logits
        for ids, kept in zip(seen.sequences, seen.kept, strict=True)
    ]


def closeness(expected: Sequence[Tensor], logits: Sequence[Tensor]) -> Closeness:
    """How `logits` differ from `expected`; NaN if any value is NaN."""
    differences, kl, same, positions = [], 0.0, 0, 0
    for wanted, given in zip(expected, logits, strict=True):
        differences.append(float((given - wanted).abs().max() / wanted.std()))
        log_wanted, log_given = wanted.log_softmax(-1), given.log_softmax(-1)
        kl += float((log_wanted.exp() * (log_wanted - log_given)).sum())
        same += int((wanted.argmax(-1) == given.argmax(-1)).sum())
        positions += wanted.shape[0] * wanted.shape[1]
    largest = float(torch.tensor(differences).max())  # NaN if any value is NaN; Python's own max may lose it
    return Closeness(largest, max(kl / positions, 0.0), same / positions)  # rounding can make the divergence negative


def check_finite(model: torch.nn.Module, which: str) -> None:
    """UserError if a weight is NaN or infinite."""
    broken = [name for name, tensor in model.state_dict().items() if not bool(torch.isfinite(tensor).all())]
    if broken:
        raise UserError(
            f"export refused: {len(broken)} tensors of {which} hold numbers that are not finite, the first is "
            f"{broken[0]}; export an earlier checkpoint"
        )


def digests(model: torch.nn.Module, dtype: torch.dtype) -> dict[str, str]:
    """SHA-256 of every tensor of `model` after a cast to `dtype`; only one cast tensor is held at a time."""
    return {
        name: hashlib.sha256(_bytes(tensor.detach().to(dtype) if tensor.is_floating_point() else tensor)).hexdigest()
        for name, tensor in model.state_dict().items()
    }


def _bytes(tensor: Tensor) -> bytes:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def cast(model: torch.nn.Module, dtype: torch.dtype) -> None:
    """Casts the stored tensors of `model` to `dtype`, in place.

    `model.to(dtype)` would also round the rotary frequencies. They are computed, never stored, and every loaded model
    keeps them in float32.
    """
    stored = model.state_dict(keep_vars=True)
    for tensor in stored.values():
        if tensor.is_floating_point():
            tensor.data = tensor.data.to(dtype)


def read_back(folder: Path, dtype: str, trust_remote_code: bool) -> PreTrainedModel:
    """The export as plain transformers loads it. UserError for missing or extra tensors and for other shapes."""
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=DTYPES[dtype],
            trust_remote_code=trust_remote_code,
            use_safetensors=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError) as fault:
        raise UserError(f"export refused: transformers cannot load {folder} ({str(fault).splitlines()[0]})") from None
    model, info = loaded
    wrong = {kind: sorted(map(str, info[kind])) for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")}
    for kind, names in wrong.items():
        if names:
            raise UserError(
                f"export refused: loading {folder} gives {len(names)} {kind.replace('_', ' ')}, the first is {names[0]}"
            )
    exported: PreTrainedModel = model.eval()
    return exported


def check_same_weights(expected: Mapping[str, str], loaded: torch.nn.Module, dtype: torch.dtype, folder: Path) -> None:
    """UserError if a tensor that was read back has other bits than the merged one after the cast."""
    stored = digests(loaded, dtype)
    differing = sorted(name for name in {*expected, *stored} if expected.get(name) != stored.get(name))
    if differing:
        raise UserError(
            f"export refused: {len(differing)} of {len(expected)} tensors read back differ from the merged ones, "
            f"the first is {differing[0]}; the rejected export is in {folder}"
        )


def check_close(difference: float, tolerance: float, when: str, folder: Path) -> None:
    """UserError if logits differ by more than the tolerance, or are NaN."""
    if not difference <= tolerance:
        raise UserError(
            f"export refused: logits differ by {difference:.2e} standard deviations {when}, "
            f"more than export.tolerance={tolerance:g}; the rejected export is in {folder}"
        )


def check_cast(close: Closeness, dtype: str, folder: Path) -> None:
    """UserError if the exported model predicts other tokens than the trained one."""
    if not close.kl <= MOST_KL:
        raise UserError(
            f"export refused: in {dtype} the model's next tokens diverge by {close.kl:.2g} nats from the trained "
            f"model's ({close.agreement:.0%} of the most likely tokens agree), at most {MOST_KL:g} is allowed; use "
            f"export.dtype=float32; the rejected export is in {folder}"
        )
