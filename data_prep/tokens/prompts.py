"""The one place that renders prompts, thoughts, their close, and answers, for training and evaluation alike.

A rendered trace is   prompt + open | thinking + close + answer + stop   with the labels to the right of the bar.
A forced answer is    prompt + open + thinking[:budget] + close + cue    and the model continues from there.
With thinking off:    the template's own prompt for that, or prompt + open + close; then the cue.
The tags (open and close without surrounding white space, such as `</think>`) are what is detected and banned, as token
sequences (`marks`): a tag may be one token or plain text of several.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from data_prep.tokens.marks import Mark, is_plain, mark_of, own_ids
from data_prep.tokens.templates import SWITCHES, render_template, switches_of, template_date
from data_prep.tokens.think_formats import resolve, say_fitting
from data_prep.trace import Trace
from recipes.data import FormatSection
from recipes.errors import UserError

PROBE = "What is 2 + 2?"


@dataclass(frozen=True)
class ThinkFormat:
    """The strings of a model's thinking format and their token ids.

    open: ends every prompt; close: between thought and answer; cue: appended after a close in a sweep;
    wait: appended when a thought is extended; stop: ends an answer. close_mark: ends a thought; forced_close_ids: close
    and cue when a budget ends it; own_close_ids: the same after the model's own close, which is not written twice.
    banned_ids: tokens that never occur in an answer; banned_marks: marks of plain text, which are never completed in
    one. name: the named format in use, or custom; template: hash of the chat template that writes the prompts; date:
    the date that it writes, "" if it writes none.
    """

    open: str
    close: str
    cue: str
    wait: str
    stop: str
    close_mark: Mark
    forced_close_ids: tuple[int, ...]
    own_close_ids: tuple[int, ...]
    wait_ids: tuple[int, ...]
    banned_ids: tuple[int, ...]
    stop_ids: tuple[int, ...]
    banned_marks: tuple[Mark, ...] = ()
    name: str = "custom"
    template: str = ""
    date: str = ""

    def __str__(self) -> str:
        as_text = " as plain text" if self.banned_marks else ""
        return (
            f"{self.name} (a thought between {self.open!r} and {self.close!r}{as_text}; {self.stop!r} ends an answer)"
        )

    def facts(self) -> dict[str, str]:
        """The entry in a run record."""
        keys = ("name", "open", "close", "cue", "wait", "stop", "template", *(["date"] if self.date else []))
        return {key: getattr(self, key) for key in keys}

    @property
    def open_tag(self) -> str:
        return self.open.strip()

    @property
    def close_tag(self) -> str:
        return self.close.strip()

    @property
    def close_tag_ids(self) -> tuple[int, ...]:
        """The tokens with which the tokenizer itself writes the close tag."""
        return own_ids(self.close_mark)

    @property
    def close_mark_ids(self) -> tuple[int, ...]:
        """An earlier name of `close_tag_ids`, for scripts written against earlier releases."""
        return self.close_tag_ids


def think_format(section: FormatSection, tokenizer: PreTrainedTokenizerBase) -> ThinkFormat:
    """The format of `section` in the ids of `tokenizer`; UserError if the tokenizer cannot express it."""
    date = template_date(section.date, tokenizer)
    name, opening, close = resolve(section, tokenizer, date)
    stop = section.stop or tokenizer.eos_token
    marks = [_mark(key, text.strip(), tokenizer) for key, text in (("open", opening), ("close", close))]
    stop_id = _stop_id(stop, tokenizer)
    _check_prompt_open(close.strip(), tokenizer, date)
    _check_cue(close, section.cue, tokenizer)
    wait = _wait(section, tokenizer)
    plain = [mark for mark in marks if len(mark) > 1 and is_plain(own_ids(mark), tokenizer)]
    return ThinkFormat(
        name=name,
        template=_template_hash(tokenizer),
        date=date,
        open=opening,
        close=close,
        cue=section.cue,
        wait=wait,
        stop=stop,
        close_mark=marks[1],
        forced_close_ids=encode(close + section.cue, tokenizer),
        own_close_ids=_own_close_ids(close, section.cue, tokenizer),
        wait_ids=encode(wait, tokenizer),
        # an added token that begins a mark has no other use; the first token of plain text may begin anything
        banned_ids=tuple(sorted({token for mark in marks if mark not in plain for token in mark[0]})),
        banned_marks=tuple(plain),
        stop_ids=tuple(sorted({stop_id, tokenizer.eos_token_id} - {None})),
    )


def _mark(key: str, tag: str, tokenizer: PreTrainedTokenizerBase) -> Mark:
    """The mark that a tag writes: its own token, or plain text with at least one sign that is not part of a word."""
    ids = encode(tag, tokenizer) if tag else ()
    if not ids or _has_unknown(ids, tokenizer):
        raise UserError(f"data.format.{key}: the tokenizer cannot write {tag!r}; give the string that this model uses")
    if is_plain(ids, tokenizer) and all(letter.isalnum() or letter.isspace() for letter in tag):
        raise UserError(
            f"data.format.{key}: {tag!r} is not a token of this tokenizer, and as plain words it cannot be "
            f"distinguished from ordinary text; give a mark with a sign, such as <think>; {say_fitting(tokenizer)}"
        )
    return mark_of(ids, tokenizer)


def _stop_id(stop: str, tokenizer: PreTrainedTokenizerBase) -> int:
    ids = encode(stop, tokenizer) if stop else ()
    if not ids or _has_unknown(ids, tokenizer) or ids[0] not in tokenizer.added_tokens_decoder:
        raise UserError(
            f"data.format.stop: {stop!r} is not a token of this model's tokenizer; name the token that ends its answers"
        )
    # It may be the stop token: padding is masked by row length (label -100, mask 0), never by id.
    if tokenizer.pad_token_id is None:
        raise UserError(
            "the tokenizer has no pad token, which is needed to fill the rows of a batch; set pad_token in the model's "
            f"tokenizer_config.json ({stop!r} will do)"
        )
    return ids[0]


def _check_cue(close: str, cue: str, tokenizer: PreTrainedTokenizerBase) -> None:
    """UserError if the text before an answer contains an unknown token: every answer after it would be wrong."""
    for text in (close + cue, _tail(close) + cue):
        if _has_unknown(encode(text, tokenizer), tokenizer):
            raise UserError(
                f"data.format.cue={cue!r}: after the close {close!r} the tokenizer writes an unknown token "
                f"({tokenizer.unk_token}) before every answer; give a cue, or a close, that it has tokens for"
            )


def _check_prompt_open(close_tag: str, tokenizer: PreTrainedTokenizerBase, date: str) -> None:
    """UserError if the template closes the thought itself: the model would continue after it and not think."""
    _, question, tail = render_template(PROBE, tokenizer, "on", date).rpartition(PROBE)
    if question and close_tag in tail:
        raise UserError(
            f"data.format: the tokenizer's chat template closes the thought in the prompt, also with thinking on (it "
            f"ends {tail[-40:]!r}), so the model would not think; switches that were tried: {', '.join(SWITCHES)}. Use "
            "a model whose template leaves the thought open, or change the template in its folder"
        )


def _wait(section: FormatSection, tokenizer: PreTrainedTokenizerBase) -> str:
    """The wait text; "" for a default that this tokenizer cannot write, which is refused only if it is needed."""
    if not _has_unknown(encode(section.wait, tokenizer), tokenizer):
        return section.wait
    if section.wait == FormatSection.model_fields["wait"].default:
        return ""
    raise UserError(
        f"data.format.wait={section.wait!r}: the tokenizer writes an unknown token ({tokenizer.unk_token}) for it; "
        "give a text that it has tokens for"
    )


def _has_unknown(ids: tuple[int, ...], tokenizer: PreTrainedTokenizerBase) -> bool:
    return tokenizer.unk_token_id is not None and tokenizer.unk_token_id in ids


def _tail(close: str) -> str:
    """The white space after the tag of a close."""
    return close[len(close.rstrip()) :]


def _own_close_ids(close: str, cue: str, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """The close tag, its white space and the cue, as they follow a thought that the model closed itself."""
    tag_ids = encode(close.strip(), tokenizer)
    if is_plain(tag_ids, tokenizer):
        return encode(close.lstrip() + cue, tokenizer)  # plain text merges with what follows, as in training
    return tag_ids + encode(_tail(close) + cue, tokenizer)


def _template_hash(tokenizer: PreTrainedTokenizerBase) -> str:
    """SHA-256 (16 hex digits) of the chat template's text, since the output of some templates depends on the date.

    A switch with another name than the usual one is included: earlier versions did not know it and wrote other prompts.
    """
    others = [name for name in switches_of(tokenizer) if name != SWITCHES[0]]
    text = json.dumps(tokenizer.chat_template) + "".join(others)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def encode(text: str, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """Token ids of `text`, nothing added."""
    return tuple(tokenizer.encode(text, add_special_tokens=False))


def render_prompt(question: str, tokenizer: PreTrainedTokenizerBase, fmt: ThinkFormat) -> str:
    """The chat template with thinking on, up to and including the think-open string."""
    text = render_template(question, tokenizer, "on", fmt.date)
    if text.rstrip().endswith(fmt.open_tag):  # such templates write their own white space after it
        text = text.rstrip()[: -len(fmt.open_tag)]
    return text + fmt.open


def render_off_prompt(question: str, tokenizer: PreTrainedTokenizerBase, fmt: ThinkFormat) -> str:
    """The prompt of an answer with thinking off, the cue included.

    It is the template's own if it has a switch, else the prompt with an empty thought. A switch that writes </think>
    applies to that format alone: a model trained in another format on the same tokenizer has no switch.
    """
    on, off = (render_template(question, tokenizer, thinking, fmt.date) for thinking in ("on", "off"))
    foreign = fmt.close_tag != "</think>" and "</think>" in off
    has_switch = on != off and not foreign
    return (off if has_switch else render_prompt(question, tokenizer, fmt) + fmt.close) + fmt.cue


def render_completion(trace: Trace, fmt: ThinkFormat) -> str:
    """The text that the model should write after the prompt: thinking, close, answer, stop, each verbatim."""
    return trace.thinking + fmt.close + trace.answer + fmt.stop
