"""Traces to labelled token ids: the prompt is never labelled; thinking, close, answer and stop always are."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from data_prep.tokens.controls import REASON, Controls
from data_prep.tokens.marks import holds
from data_prep.tokens.prompts import ThinkFormat, encode, render_completion, render_prompt
from data_prep.tokens.spelling import Speller, first_difference
from data_prep.trace import Trace

IGNORED = -100
"""the label of a token that is not learned: the number that the losses of torch and TRL ignore"""


@dataclass(frozen=True)
class Row:
    """One tokenised trace; from the thinking on, labels are the ids themselves; before it, -100."""

    id: str
    input_ids: list[int]
    labels: list[int]
    shortened: bool = False


@dataclass(frozen=True)
class Labelled:
    """The ids of one trace, proven to spell it: `prompt_ids` are unlabelled, `completion_ids` are labelled.

    `trace` is what the ids spell: the trace itself, or the form of its text that the tokenizer can write.
    """

    trace: Trace
    prompt_ids: list[int]
    completion_ids: list[int]

    def __len__(self) -> int:
        return len(self.prompt_ids) + len(self.completion_ids)

    def row(self, shortened: bool = False) -> Row:
        return Row(
            self.trace.id,
            self.prompt_ids + self.completion_ids,
            [IGNORED] * len(self.prompt_ids) + self.completion_ids,
            shortened,
        )


class Unwritable(ValueError):
    """Why a trace cannot be labelled; `reason` is the short name under which it is counted."""

    def __init__(self, reason: str, why: str) -> None:
        super().__init__(why)
        self.reason = reason


class Labeller:
    """Labels traces under one tokenizer and format; prompt and completion are tokenised separately, so no token spans
    both."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, fmt: ThinkFormat) -> None:
        self.tokenizer, self.fmt, self.speller = tokenizer, fmt, Speller(tokenizer)
        self.controls = Controls(tokenizer, fmt)
        self.tags = dict.fromkeys((fmt.open_tag, fmt.close_tag, fmt.stop, tokenizer.eos_token or fmt.stop))

    def label_all(self, traces: Sequence[Trace]) -> list[Labelled | Unwritable]:
        """Each trace labelled, or why it cannot be, in order."""
        faults = [self._fault(trace) for trace in traces]
        sound = [trace for trace, fault in zip(traces, faults, strict=True) if fault is None]
        # Separately, not as one text: a merge across the border would give one token that belongs to both.
        prompts = encode_all(
            [render_prompt(trace.question, self.tokenizer, self.fmt) for trace in sound], self.tokenizer
        )
        completions = encode_all([render_completion(trace, self.fmt) for trace in sound], self.tokenizer)
        labelled = (self._proven(Labelled(*parts)) for parts in zip(sound, prompts, completions, strict=True))
        return [next(labelled) if fault is None else fault for fault in faults]

    def completion(self, trace: Trace) -> list[int]:
        """The ids of the completion, which are the labelled ones, without the proof."""
        return encode_all([render_completion(trace, self.fmt)], self.tokenizer)[0]

    def _fault(self, trace: Trace) -> Unwritable | None:
        for name, text in (("thinking", trace.thinking), ("answer", trace.answer), ("question", trace.question)):
            if not text.isascii() and not _is_unicode(text):
                return Unwritable("broken text", f"the {name} holds half of a surrogate pair, which is not a character")
            if self.tokenizer.unk_token and self.tokenizer.unk_token in text:
                return _control(name, self.tokenizer.unk_token)
        for name, text in (("thinking", trace.thinking), ("answer", trace.answer)):
            for tag in self.tags:
                if tag in text:
                    return Unwritable(
                        "mark in the text",
                        f"the {name} contains {tag!r}, which ends or opens a thought; remove it from the text",
                    )
        return None

    def _proven(self, labelled: Labelled) -> Labelled | Unwritable:
        """`labelled` if its text spells no control tokens or marks, and its ids spell the text."""
        if token := self.controls.beyond_prompt(labelled.prompt_ids):
            return _control("question", token)
        if token := self.controls.beyond_completion(labelled.completion_ids):
            return _control("thinking" if token in labelled.trace.thinking else "answer", token)
        return self._prove(labelled)

    def _prove(self, labelled: Labelled) -> Labelled | Unwritable:
        """`labelled` if its completion ids spell the completion, close the thought and end with the stop token.

        If the tokenizer itself normalises text (such as to NFC), the normalised text is used.
        """
        text = render_completion(labelled.trace, self.fmt)
        ids = labelled.completion_ids
        if self.speller.spells(ids, text):
            return self._ending(labelled)
        normal = normalised(labelled.trace, self.tokenizer)
        if normal != labelled.trace:
            return self._prove(Labelled(normal, labelled.prompt_ids, self.completion(normal)))
        difference = first_difference(text, self.speller.read(ids))
        return Unwritable("not spelled", f"the tokenizer does not give the trace back: {difference}")

    def _ending(self, labelled: Labelled) -> Labelled | Unwritable:
        """`labelled` if a sweep would see its thought closed and its answer stopped."""
        ids, fmt = labelled.completion_ids, self.fmt
        if ids[-1] not in fmt.stop_ids:
            return Unwritable("stop not last", f"the stop token {fmt.stop!r} is not the last of its ids")
        # only a close of plain text can be merged with its neighbours such that a sweep would not see it
        if fmt.close_mark in fmt.banned_marks and not holds(ids, fmt.close_mark):
            return Unwritable("close not read", f"the tokenizer merges {fmt.close_tag!r} with adjacent text")
        return labelled


def _control(name: str, token: str) -> Unwritable:
    return Unwritable(
        REASON,
        f"the {name} spells {token!r}, a control token of this tokenizer, and would become it; spell it differently",
    )


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def normalised(trace: Trace, tokenizer: PreTrainedTokenizerBase) -> Trace:
    """The trace with thinking and answer as the tokenizer's normaliser writes them; itself if there is none."""
    normalizer = getattr(getattr(tokenizer, "backend_tokenizer", None), "normalizer", None)
    if normalizer is None:
        return trace
    return dataclasses.replace(
        trace, thinking=normalizer.normalize_str(trace.thinking), answer=normalizer.normalize_str(trace.answer)
    )


def encode_all(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    """Token ids of every text, nothing added and nothing truncated: `prompts.encode` for many texts at once.

    A fast tokenizer encodes them in parallel, and without offsets, which are not needed here.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return [list(encode(text, tokenizer)) for text in texts]
    if backend.truncation is not None or backend.padding is not None:
        backend.no_truncation()  # a tokenizer.json may set both, and would truncate or pad silently
        backend.no_padding()
    return [encoding.ids for encoding in backend.encode_batch_fast(list(texts), add_special_tokens=False)]


def label_trace(trace: Trace, tokenizer: PreTrainedTokenizerBase, fmt: ThinkFormat) -> Row:
    """The row of one trace.

    ValueError if a tag of the format occurs inside the thinking or the answer, or if the labelled ids do not spell the
    completion.
    """
    (outcome,) = Labeller(tokenizer, fmt).label_all([trace])
    if isinstance(outcome, Unwritable):
        raise ValueError(f"trace {trace.id}: {outcome}")
    return outcome.row()
