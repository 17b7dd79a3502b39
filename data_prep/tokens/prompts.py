"""The one place that renders a prompt, a thought, its close and an answer; training and evaluation both come here.

A rendered trace is   prompt + open | thinking + close + answer + stop   with the labels to the right of the bar.
A forced answer is    prompt + open + thinking[:budget] + close + cue    and the model continues from there.
With thinking off it is the template's own prompt for that, or prompt + open + close, and the cue.
The tags (open and close without surrounding white space, such as `</think>`) are what is detected and banned.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from data_prep.tokens.templates import render_template, template_date
from data_prep.tokens.think_formats import resolve, say_fitting
from data_prep.trace import Trace
from recipes.data import FormatSection
from recipes.errors import UserError


@dataclass(frozen=True)
class ThinkFormat:
    """The strings of a model's thinking format and their token ids.

    open: ends every prompt; close: between thought and answer; cue: appended after a close in a sweep;
    wait: appended where a thought is extended; stop: ends an answer. name: the named format that was taken, or custom;
    template: hash of the chat template that writes the prompts; date: the day that it writes, "" where it writes none.
    """

    open: str
    close: str
    cue: str
    wait: str
    stop: str
    close_tag_ids: tuple[int, ...]
    forced_close_ids: tuple[int, ...]
    own_close_ids: tuple[int, ...]
    wait_ids: tuple[int, ...]
    banned_ids: tuple[int, ...]
    stop_ids: tuple[int, ...]
    name: str = "custom"
    template: str = ""
    date: str = ""

    def __str__(self) -> str:
        return f"{self.name} (a thought between {self.open!r} and {self.close!r}; {self.stop!r} ends an answer)"

    def facts(self) -> dict[str, str]:
        """What a run record says of it."""
        keys = ("name", "open", "close", "cue", "wait", "stop", "template", *(["date"] if self.date else []))
        return {key: getattr(self, key) for key in keys}

    @property
    def open_tag(self) -> str:
        return self.open.strip()

    @property
    def close_tag(self) -> str:
        return self.close.strip()


def think_format(section: FormatSection, tokenizer: PreTrainedTokenizerBase) -> ThinkFormat:
    """The format of `section` in the ids of `tokenizer`; UserError where the tokenizer cannot express it."""
    date = template_date(section.date, tokenizer)
    name, opening, close = resolve(section, tokenizer, date)
    stop = section.stop or tokenizer.eos_token
    for key, tag in (("open", opening.strip()), ("close", close.strip()), ("stop", stop)):
        _check_tag(key, tag, tokenizer)
    open_ids, close_ids = encode(opening.strip(), tokenizer), encode(close.strip(), tokenizer)
    tail = close[len(close.rstrip()) :]
    stop_id = encode(stop, tokenizer)[0]
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id == stop_id:
        raise UserError(
            f"the tokenizer's pad token {tokenizer.pad_token!r} must exist and differ from the stop token {stop!r}, "
            "or the model never learns to stop; set another pad token in the model's tokenizer_config.json"
        )
    return ThinkFormat(
        name=name,
        template=_template_hash(tokenizer),
        date=date,
        open=opening,
        close=close,
        cue=section.cue,
        wait=section.wait,
        stop=stop,
        close_tag_ids=close_ids,
        forced_close_ids=encode(close + section.cue, tokenizer),
        # after a close of the model's own, only its white space and the cue are still to be written
        own_close_ids=close_ids + encode(tail + section.cue, tokenizer),
        wait_ids=encode(section.wait, tokenizer),
        banned_ids=tuple(sorted({open_ids[0], close_ids[0]})),
        stop_ids=tuple(sorted({stop_id, tokenizer.eos_token_id} - {None})),
    )


def _check_tag(key: str, tag: str, tokenizer: PreTrainedTokenizerBase) -> None:
    """A tag must begin with a token of its own (a special or added one), or it cannot be told from ordinary text."""
    ids = encode(tag, tokenizer) if tag else ()
    if not ids or (tokenizer.unk_token_id is not None and tokenizer.unk_token_id in ids):
        raise UserError(f"data.format.{key}: the tokenizer cannot write {tag!r}; name the string this model uses")
    if ids[0] not in tokenizer.added_tokens_decoder:
        raise UserError(
            f"data.format.{key}: {tag!r} is not a token of this model's tokenizer (it falls into {len(ids)} pieces), "
            f"so it is not a thinking model in this format; {say_fitting(tokenizer)}"
        )


def _template_hash(tokenizer: PreTrainedTokenizerBase) -> str:
    """SHA-256 (16 hex digits) of the chat template; of its text, for what some write depends on the day."""
    return hashlib.sha256(json.dumps(tokenizer.chat_template).encode()).hexdigest()[:16]


def encode(text: str, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """Token ids of `text`, nothing added."""
    return tuple(tokenizer.encode(text, add_special_tokens=False))


def render_prompt(question: str, tokenizer: PreTrainedTokenizerBase, fmt: ThinkFormat) -> str:
    """The chat template with thinking on, up to and including the think-open string."""
    text = render_template(question, tokenizer, "on", fmt.date)
    if text.rstrip().endswith(fmt.open_tag):  # templates that open the thought write their own white space after it
        text = text.rstrip()[: -len(fmt.open_tag)]
    return text + fmt.open


def render_off_prompt(question: str, tokenizer: PreTrainedTokenizerBase, fmt: ThinkFormat) -> str:
    """The prompt of an answer with thinking off, the cue included.

    It is the template's own where that has a switch, else the prompt with an empty thought. A switch that writes
    </think> belongs to that format alone: a model trained in another one on the same tokenizer has none.
    """
    on, off = (render_template(question, tokenizer, thinking, fmt.date) for thinking in ("on", "off"))
    foreign = fmt.close_tag != "</think>" and "</think>" in off
    has_switch = on != off and not foreign
    return (off if has_switch else render_prompt(question, tokenizer, fmt) + fmt.close) + fmt.cue


def render_completion(trace: Trace, fmt: ThinkFormat) -> str:
    """What the model is to write after the prompt: thinking, close, answer, stop, each verbatim."""
    return trace.thinking + fmt.close + trace.answer + fmt.stop
