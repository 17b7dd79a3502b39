"""Thinking formats by name: their strings, the tokens that they need, and detection from a tokenizer's template."""

from __future__ import annotations

import json
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from data_prep.tokens.templates import render_template
from recipes.data import FormatSection
from recipes.errors import UserError


@dataclass(frozen=True)
class NamedFormat:
    """Strings that open and close a thought; `tokens`: those that a tokenizer must have (none: they may be text)."""

    open: str
    close: str
    tokens: tuple[str, ...]


THINK = ("<think>\n", "\n</think>\n\n")
TAGS = ("<think>", "</think>")
FORMATS = {
    "qwen3": NamedFormat(*THINK, ("<|im_start|>", "<think>", "</think>")),
    "qwq": NamedFormat(*THINK, ("<|im_start|>", "<think>", "</think>")),
    "deepseek_r1": NamedFormat(*THINK, ("<｜Assistant｜>", "<think>", "</think>")),
    "s1": NamedFormat("<|im_start|>think\n", "\n<|im_start|>answer\n", ("<|im_start|>",)),
    "think": NamedFormat(*THINK, ()),
}
PROBE = "?"


def resolve(section: FormatSection, tokenizer: PreTrainedTokenizerBase, date: str = "") -> tuple[str, str, str]:
    """(name, open, close) of a recipe's format for this tokenizer; UserError if they do not fit together.

    date: the date that the template writes.
    """
    if section.open is not None or section.close is not None:
        opening, close = section.open, section.close
        return "custom", THINK[0] if opening is None else opening, THINK[1] if close is None else close
    name = section.name if section.name != "auto" else found_in_template(tokenizer, date)
    if name is None:
        raise UserError(
            "data.format.name=auto: neither tokens nor template of this tokenizer show how the model thinks; "
            + say_fitting(tokenizer)
        )
    missing = [token for token in FORMATS[name].tokens if token not in tokenizer.get_added_vocab()]
    if missing:
        raise UserError(
            f"data.format.name={name}: this tokenizer has no token {', '.join(missing)}; " + say_fitting(tokenizer)
        )
    return name, FORMATS[name].open, FORMATS[name].close


def say_fitting(tokenizer: PreTrainedTokenizerBase) -> str:
    """Advice for the user: the named formats that the tokenizer can write, and how to do without a name."""
    added = tokenizer.get_added_vocab()
    names = [name for name, fmt in FORMATS.items() if all(token in added for token in fmt.tokens)]
    if not all(tag in added for tag in TAGS):
        names[names.index("think")] += " (as plain text)"
    return (
        f"formats that fit it: {', '.join(names)}; set data.format.name to the one it was trained with, "
        "or give its strings as data.format.open and close"
    )


def found_in_template(tokenizer: PreTrainedTokenizerBase, date: str = "") -> str | None:
    """The format shown by the tokenizer's own tokens and its template on a `date`; None if they show none.

    Tags that are not tokens are taken for plain text if the template names one. s1 is never detected: its models have
    the plain template of their base model.
    """
    added = tokenizer.get_added_vocab()
    if not all(tag in added for tag in TAGS):
        return "think" if any(tag in json.dumps(tokenizer.chat_template) for tag in TAGS) else None
    if all(token in added for token in FORMATS["deepseek_r1"].tokens):
        return "deepseek_r1"
    if all(token in added for token in FORMATS["qwen3"].tokens):
        on, off = (render_template(PROBE, tokenizer, thinking, date) for thinking in ("on", "off"))
        if on != off:
            return "qwen3"
        if on.rstrip().endswith("<think>"):
            return "qwq"
    return "think"
