"""Checks once per kind of model, before its first sweep, that the in-process engine agrees with the model itself.

A few random prompts of different lengths go through the engine together (prefill and some steps over its cache), and
each alone through the model's own forward with transformers' plain attention and no cache. The logits must agree, row
by row. So a wrong sweep cannot come from a config whose names mislead (a left-over window), chunked attention, scaling
that depends on the longest row of a batch (longrope), or sinks that the kernel does not support.
"""

from __future__ import annotations

import random
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from transformers import PreTrainedModel

from eval.engines.slot_cache import SlotCache
from eval.engines.slot_forward import SlotForward, Windows, window_readings
from eval.engines.state_cache import make_cache
from recipes.errors import UserError

SHORT = (8, 27)
"""lengths of the prompts that are always tried, in tokens"""
STEPS = 5
BEYOND = 256
"""how many tokens a prompt extends beyond a window or chunk; for a smaller one, to twice its size"""
LONGEST_EAGER = 1024
"""plain attention holds scores of every pair of tokens; longer prompts use SDPA, if the family has it"""
TOLERANCES = {torch.float32: 2e-3, torch.float16: 0.03, torch.bfloat16: 0.1}
"""largest difference that rounding explains, as a share of the spread of the logits; the faults above cause several
times as much"""
STATIC_SCALING = {"default", "linear", "yarn", "llama3", "proportional"}

_AGREED: dict[str, Windows] = {}


def agreed_windows(model: PreTrainedModel, vocabulary_size: int, reach: int) -> Windows:
    """The attention windows with which the engine reproduces the logits of the model's own forward.

    model: quiet (`eval.quiet`); vocabulary_size: ids that may be fed; reach: most tokens of a row in the sweep, since
    anything that begins beyond does not matter. Raises UserError if no reading of the config agrees.
    """
    lengths = probe_lengths(model.config.get_text_config(), reach)
    key = f"{type(model).__name__} {model.dtype} {model.config._attn_implementation} {lengths} {model.config}"
    if key not in _AGREED:
        try:
            _AGREED[key] = _find(model, vocabulary_size, lengths)
        except torch.OutOfMemoryError:
            print("the engine was not compared with the model's own forward: not enough memory", file=sys.stderr)
            return window_readings(model.config.get_text_config())[0]
    return _AGREED[key]


def probe_lengths(config: Any, reach: int) -> tuple[int, ...]:
    """Lengths of the prompts with their steps, in tokens, increasing; none exceeds `reach`, unless all would."""
    lengths = {length + STEPS for length in SHORT}
    lengths |= {min(reach, limit + min(limit, BEYOND)) for limit in limits_of(config.to_dict()) if reach > limit}
    return tuple(sorted(length for length in lengths if STEPS < length <= max(reach, SHORT[0] + STEPS)))


def limits_of(config: dict[str, Any]) -> set[int]:
    """Token counts at which a model's attention or positions may change: windows, chunks, borders of scaling."""
    found: set[int] = set()
    for name, value in config.items():
        if isinstance(value, dict):
            found |= limits_of(value)
        elif type(value) is int and value > 0 and "layers" not in name and ("window" in name or "chunk" in name):
            found.add(value)
    scaling = config.get("rope_parameters") or {}
    parts = [scaling, *(part for part in scaling.values() if isinstance(part, dict))]  # some have a part per layer type
    for part in parts:
        if part.get("rope_type", "default") not in STATIC_SCALING:
            border = part.get("original_max_position_embeddings") or config.get("max_position_embeddings")
            found |= {border} if border else set()
    return found


def _find(model: PreTrainedModel, vocabulary_size: int, lengths: Sequence[int]) -> Windows:
    config = model.config.get_text_config()
    draw = random.Random(0)
    rows = [draw.choices(range(min(vocabulary_size, config.vocab_size)), k=length) for length in lengths]
    own = _own_logits(model, rows)
    worst: list[tuple[float, int]] = []
    for windows in window_readings(config):
        errors = [_difference(mine, theirs) for mine, theirs in zip(_by_engine(model, windows, rows), own, strict=True)]
        if max(errors) <= TOLERANCES[model.dtype]:
            return windows
        worst.append(max(zip(errors, lengths, strict=True)))
    error, length = min(worst)
    limits = ", ".join(map(str, sorted(limits_of(config.to_dict())))) or "none"
    raise UserError(
        f"sweep.engine.name=hf: on this {config.model_type} model the in-process engine does not give the logits of "
        f"the model's own forward: for a prompt of {length} tokens in a batch they differ by {error:.0%} of their "
        f"spread (rounding explains at most {TOLERANCES[model.dtype]:.1%}; windows, chunks and borders of scaling in "
        f"its config, in tokens: {limits}). Use sweep.engine.name=vllm, an endpoint with python -m eval, or budgets "
        "that end before such a border"
    )


def _by_engine(model: PreTrainedModel, windows: Windows, rows: Sequence[Sequence[int]]) -> list[torch.Tensor]:
    """Logits [steps, vocabulary] of the last tokens of each row, all rows in one batch."""
    forward, cache = SlotForward(model, windows), make_cache(_text(model), len(rows), max(map(len, rows)))
    found = []
    try:
        for slot, row in enumerate(rows):  # one by one, since it is unknown how many prompts fit into memory together
            forward.prefill([row[:-STEPS]], cache, slot)
        for step in range(-STEPS, 0):
            tokens, lengths = [row[step] for row in rows], [len(row) + step for row in rows]
            found.append(_step(forward, tokens, lengths, cache).float())  # [rows, vocabulary]
    except torch.OutOfMemoryError:
        raise
    except Exception as fault:  # a family that does not fit the slots may raise anything
        raise UserError(
            f"sweep.engine.name=hf: the in-process engine cannot run this {model.config.model_type} model "
            f"({type(fault).__name__}: {str(fault).splitlines()[0][:200] if str(fault) else ''}); use "
            "sweep.engine.name=vllm, or an endpoint with python -m eval"
        ) from fault
    return list(torch.stack(found, dim=1))  # [rows, steps, vocabulary]


def _step(forward: SlotForward, tokens: Sequence[int], lengths: Sequence[int], cache: SlotCache) -> torch.Tensor:
    """The step that a sweep on this device uses."""
    device = forward.model.device
    if device.type == "cpu" or forward.has_states:
        return forward.step(tokens, lengths, cache)
    ids, positions = (torch.tensor(values, device=device) for values in (tokens, lengths))
    return forward.fixed_step(ids, positions, cache.capacity, cache)


def _text(model: PreTrainedModel) -> Any:
    return model.config.get_text_config()


def _own_logits(model: PreTrainedModel, rows: Sequence[Sequence[int]]) -> list[torch.Tensor]:
    """The same logits by the model's own forward, each row alone."""
    found = []
    for row in rows:
        with _plain_attention(model, len(row)):
            ids = torch.tensor([row], device=model.device)
            found.append(model(input_ids=ids, use_cache=False, logits_to_keep=STEPS).logits[0, -STEPS:].float())
    return found


@contextmanager
def _plain_attention(model: PreTrainedModel, tokens: int) -> Iterator[None]:
    """Eager attention: each family's own, with all its features (sinks, caps). SDPA for long prompts."""
    before = model.config._attn_implementation
    is_long = tokens > LONGEST_EAGER and model._supports_sdpa
    model.set_attn_implementation("sdpa" if is_long else "eager")
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def _difference(mine: torch.Tensor, theirs: torch.Tensor) -> float:
    """Root mean square of the difference as a share of the logits' own, the median over steps; 0 if the model's own
    logits are not finite, which is not a fault of the engine.

    mine, theirs [steps, vocabulary]. The median, since rounding may send a token to another expert at a step.
    """
    if not theirs.isfinite().all():
        return 0.0
    # a constant added to all logits of a step changes no probability
    mine, theirs = (logits - logits.mean(dim=-1, keepdim=True) for logits in (mine, theirs))
    error, spread = (values.square().mean(dim=-1).sqrt() for values in (mine - theirs, theirs))
    shares = (error / spread.clamp(min=1e-12)).tolist()
    return statistics.median(share if share == share else float("inf") for share in shares)
