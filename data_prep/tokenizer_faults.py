"""Faults in the text side of a checkpoint: its tokenizer, its chat template, its stop tokens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer, GenerationConfig, PreTrainedTokenizerBase

from data_prep.contradictions import BUILD_ERRORS, EMBEDDING, Tensors
from data_prep.tokens.templates import render_template, template_date
from data_prep.weight_files import read_json
from recipes.errors import UserError

CONFIG, GENERATION, TOKENIZER = "config.json", "generation_config.json", "tokenizer_config.json"
ENDS = ("eos_token_id", "pad_token_id")


def own_tokenizer(folder: Path) -> PreTrainedTokenizerBase | None:
    """The tokenizer in `folder`; None if there is none, if it needs code that came with it, or if config.json, by which
    transformers finds it, is broken. UserError if it cannot be read."""
    if not (folder / TOKENIZER).is_file() or "auto_map" in read_json(folder / TOKENIZER):
        return None
    try:
        AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except BUILD_ERRORS:
        return None
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as fault:  # a damaged file may raise anything, depending on its reader in Rust or Python
        said = " ".join(str(fault).split())[:200] or type(fault).__name__
        raise UserError(f"{folder}: its tokenizer cannot be read ({said}); copy the tokenizer's files again") from None
    return tokenizer


def vocabulary_faults(folder: Path, tensors: Tensors, tokenizer: PreTrainedTokenizerBase) -> Iterator[str]:
    """Tokens for which the embedding has no row."""
    embedding = tensors.get(EMBEDDING)
    if embedding is None:
        return
    beyond = {token: i for token, i in tokenizer.get_vocab().items() if i >= embedding.shape[0]}
    if beyond:
        token = min(beyond, key=lambda name: beyond[name])
        yield (
            f"{folder}: the vocabulary has {embedding.shape[0]:,} rows, but {len(beyond)} tokens of the tokenizer are "
            f"beyond them, the first is {token!r} ({beyond[token]}); give the model its own tokenizer or more rows"
        )


def template_faults(folder: Path, tokenizer: PreTrainedTokenizerBase) -> Iterator[str]:
    """A chat template that cannot render a single question, or renders it without the question."""
    if tokenizer.chat_template is None:
        return
    try:
        prompt = render_template("Why?", tokenizer, "on", template_date(None, tokenizer))
    except UserError as fault:
        yield f"{folder}: {str(fault).removeprefix('model: ')}"
        return
    except Exception as fault:  # a template may fail in any way that its expressions can
        said = " ".join(str(fault).split())[:200]
        yield f"{folder}: its chat template cannot render a single question ({said}); correct the template"
        return
    if "Why?" not in prompt:
        yield f"{folder}: its chat template renders the question 'Why?' as {prompt[:80]!r}; correct the template"


def stop_faults(folder: Path, tensors: Tensors) -> Iterator[str]:
    """Stop and pad tokens for which the vocabulary has no row, and an invalid generation config."""
    rows = tensors[EMBEDDING].shape[0] if EMBEDDING in tensors else None
    for name in (CONFIG, GENERATION):
        try:
            held = read_json(folder / name) if (folder / name).is_file() else {}
        except UserError as fault:
            if name == GENERATION:  # config.json is reported elsewhere
                yield str(fault)
            continue
        for key in ENDS:
            for token in ids_of(held.get(key)):
                if not isinstance(token, int) or (key == ENDS[0] and token < 0):
                    yield f"{folder / name}: {key} has {token!r}, which is not a token id; write the id, a whole number"
                elif rows is not None and token >= rows:
                    yield (
                        f"{folder / name}: {key} has {token}, but the vocabulary has {rows:,} rows, so the model could "
                        "never write it; write the id of the token that ends its answers"
                    )


def generation_faults(folder: Path) -> Iterator[str]:
    """A generation config that is JSON but that transformers refuses: no model with it loads."""
    if not (folder / GENERATION).is_file():
        return
    try:
        read_json(folder / GENERATION)
        GenerationConfig.from_pretrained(folder)
    except UserError:  # reported by `stop_faults`
        return
    except BUILD_ERRORS as fault:
        said = " ".join(str(fault).split())[:200]
        yield f"{folder / GENERATION}: transformers refuses it ({said}); correct or remove it"


def ids_of(value: Any) -> list[Any]:
    """A config's token ids: one, several or none."""
    return value if isinstance(value, list) else [] if value is None else [value]


def stops_of(folder: Path) -> list[int]:
    """The tokens at which plain transformers stops: those of the generation config, else of config.json."""
    return _stops_in(folder, GENERATION) or _stops_in(folder, CONFIG)


def named_stops(folder: Path) -> list[int]:
    """All stop tokens that either config names."""
    return [*_stops_in(folder, GENERATION), *_stops_in(folder, CONFIG)]


def _stops_in(folder: Path, name: str) -> list[int]:
    try:
        return ids_of(read_json(folder / name).get("eos_token_id")) if (folder / name).is_file() else []
    except UserError:  # reported by `stop_faults`
        return []


def text_notes(folder: Path, tokenizer: PreTrainedTokenizerBase | None) -> Iterator[str]:
    """Possibly unintended: no tokenizer, no template, no pad token, a stop token that generation ignores."""
    if tokenizer is None:
        yield "the folder has no tokenizer; training uses that of the unpruned model, eval needs one here"
        return
    if tokenizer.chat_template is None:
        yield "the tokenizer has no chat template; training and eval need one"
    if tokenizer.eos_token_id is None:
        yield "the tokenizer has no stop token (eos_token); name the one that ends an answer in data.format.stop"
    elif (stops := stops_of(folder)) and tokenizer.eos_token_id not in stops:
        yield (
            f"the tokenizer ends with {tokenizer.eos_token!r} ({tokenizer.eos_token_id}), but generation stops at "
            f"{stops} alone"
        )
    if tokenizer.pad_token_id is None:
        yield "the tokenizer has no pad token, which training needs; set pad_token in tokenizer_config.json"
