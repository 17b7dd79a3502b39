"""Compares a pruned model with its unpruned one: token ids, thinking tags, stop tokens, and what a cut must keep.

The plan says which layers were removed. Without a plan, a per-layer list is only checked to be an ordered part of the
unpruned model's list. Sizes are not compared: the weights define them, and a model may be pruned in width.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from transformers import AutoConfig, PreTrainedTokenizerBase

from data_prep.contradictions import BUILD_ERRORS, PER_LAYER_LISTS
from data_prep.fingerprint import fingerprint, local_folder
from data_prep.tokenizer_faults import named_stops, own_tokenizer, stop_faults, stops_of, template_faults
from data_prep.tokens.templates import template_date
from data_prep.tokens.think_formats import FORMATS, found_in_template
from data_prep.weight_files import read_tensors
from prune.families import cut_values
from prune.plan import FILE_NAME, load
from recipes.errors import UserError

MARKS = sorted({token for fmt in FORMATS.values() for token in fmt.tokens})
COMPUTES = re.compile(r"window|chunk|sink|rope_(parameters|local)|softcap|scaling|multiplier|_eps$|hidden_act")
"""config keys that define a layer's arithmetic; no cut changes their values"""


def unpruned_of(folder: Path, named: str = "") -> Path | None:
    """The unpruned model's folder: the named one, or else the plan's if its weights are unchanged; None if there is
    none. Raises UserError if a named model is not on this machine."""
    if named:
        found = local_folder(named)
        if found is None:
            raise UserError(f"against={named}: no such model on this machine; name the unpruned model's folder")
        return found
    if not (folder / FILE_NAME).is_file():
        return None
    try:
        plan = load(folder)
    except UserError:  # reported elsewhere
        return None
    known = fingerprint(plan.unpruned) if plan.unpruned else ""
    return local_folder(plan.unpruned) if known and known == plan.source else None


def differences(folder: Path, unpruned: Path) -> list[str]:
    """How the pruned model at `folder` differs from the unpruned one in ways a run cannot work with: token ids, stop
    tokens, layers and their arithmetic; one line each. Chat templates are not compared: a run uses the unpruned one."""
    return [*tokenizer_differences(folder, unpruned), *config_differences(folder, unpruned)]


def tokenizer_differences(folder: Path, unpruned: Path) -> list[str]:
    """Token ids, thinking tags and stop tokens that differ from the unpruned model's, one line each."""
    ours, theirs = _tokenizer(folder), _tokenizer(unpruned)
    faults = [] if ours is None or theirs is None else [*id_differences(ours, theirs)]
    return [f"{folder}: {fault}" for fault in [*faults, *stop_differences(folder, unpruned, ours or theirs)]]


def id_differences(ours: PreTrainedTokenizerBase, theirs: PreTrainedTokenizerBase) -> Iterator[str]:
    """Missing thinking tags, and tokens whose ids differ."""
    mine, wanted = ours.get_vocab(), theirs.get_vocab()
    marks = _lost_marks(ours, theirs)
    if marks:
        yield f"its tokenizer lacks {', '.join(marks)}, with which the unpruned model thinks; copy the unpruned one's"
    others = [token for token in wanted if mine.get(token) != wanted[token] and token not in marks]
    if others:
        first = min(others, key=lambda token: wanted[token])
        yield (
            f"{len(others)} tokens of the unpruned model have other ids in its tokenizer; the first is {first!r} "
            f"({mine.get(first, 'missing')}, was {wanted[first]}). Its embedding still uses the old ids; copy the "
            "unpruned model's tokenizer"
        )


def _lost_marks(ours: PreTrainedTokenizerBase, theirs: PreTrainedTokenizerBase) -> list[str]:
    mine, wanted = ours.get_vocab(), theirs.get_vocab()
    return [mark for mark in MARKS if mark in wanted and mark not in mine]


def template_differences(folder: Path, unpruned: Path) -> Iterator[str]:
    """A chat template that is missing, or that no longer shows how the unpruned model thinks."""
    ours, theirs = _tokenizer(folder), _tokenizer(unpruned)
    if ours is None or theirs is None:
        return
    if theirs.chat_template is not None and ours.chat_template is None:
        yield f"{folder}: its tokenizer has no chat template, but the unpruned one's has; copy it"
    elif theirs.chat_template != ours.chat_template and not _lost_marks(ours, theirs):
        if list(template_faults(folder, ours)):  # reported elsewhere
            return
        before, now = (found_in_template(each, template_date(None, each)) for each in (theirs, ours))
        if before != now:
            yield (
                f"{folder}: its chat template shows the thinking format {now}, the unpruned model's shows {before}; "
                "copy the unpruned model's template"
            )


def stop_differences(folder: Path, unpruned: Path, tokenizer: PreTrainedTokenizerBase | None) -> Iterator[str]:
    """Stop tokens that the unpruned model does not stop at and that are not its tokenizer's end token."""
    known = [*named_stops(unpruned), *([] if tokenizer is None else [tokenizer.eos_token_id])]
    impossible = any(stop_faults(folder, read_tensors(folder)))  # reported elsewhere
    foreign = [] if impossible else [stop for stop in stops_of(folder) if stop not in known]
    if foreign and stops_of(unpruned):
        yield (
            f"generation stops at {foreign}, but the unpruned model stops at {stops_of(unpruned)}; write its "
            "eos_token_id into generation_config.json"
        )


def config_differences(folder: Path, unpruned: Path) -> Iterator[str]:
    """Config values that match neither the unpruned model nor a cut of it, one line each."""
    file = folder / "config.json"
    for key, (have, want) in wanted_values(folder, unpruned).items():
        yield f"{file}: {key}={have!r}, but a cut of the unpruned model has {want!r}; write that value"
    plan = load(folder) if (folder / FILE_NAME).is_file() else None
    if plan is not None:
        return
    ours, theirs = _config(folder), _config(unpruned)
    if ours is None or theirs is None:
        return
    for key in PER_LAYER_LISTS:
        have, whole = getattr(ours, key, None), getattr(theirs, key, None)
        if isinstance(have, list) and isinstance(whole, list) and not _is_part(have, whole):
            yield f"{file}: {key}={have!r} is not an ordered part of the unpruned model's {whole!r}; cut it again"


def wanted_values(folder: Path, unpruned: Path) -> dict[str, tuple[Any, Any]]:
    """Config key -> (actual value, required value), for the layers that the plan keeps and for their arithmetic.
    {} if a config cannot be read (reported elsewhere) or the families differ."""
    ours, theirs = _config(folder), _config(unpruned)
    if ours is None or theirs is None or ours.model_type != theirs.model_type:
        return {}
    have, whole = ours.to_dict(), theirs.to_dict()
    want = {key: value for key, value in whole.items() if COMPUTES.search(key) and key not in _per_layer(theirs)}
    plan = load(folder) if (folder / FILE_NAME).is_file() else None
    if plan is not None and (plan.layers, len(plan.kept)) == (theirs.num_hidden_layers, ours.num_hidden_layers):
        want |= {key: value for key, value in cut_values(theirs, plan.kept).items() if key in whole}
    return {key: (have.get(key), value) for key, value in sorted(want.items()) if have.get(key) != value}


def _per_layer(config: Any) -> Sequence[str]:
    """The keys whose values describe single layers."""
    return [key for key in cut_values(config, range(config.num_hidden_layers)) if key != "num_hidden_layers"]


def _is_part(part: Sequence[Any], whole: Sequence[Any]) -> bool:
    rest = iter(whole)
    return all(any(entry == other for other in rest) for entry in part)


def _tokenizer(folder: Path) -> PreTrainedTokenizerBase | None:
    try:
        return own_tokenizer(folder)
    except UserError:  # reported elsewhere
        return None


def _config(folder: Path) -> Any:
    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except BUILD_ERRORS:
        return None
