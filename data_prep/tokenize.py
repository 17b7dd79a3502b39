"""Traces to labelled token ids (`Row`): the prompt is never labelled, thinking, close, answer and stop always are."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from data_prep.ledger import Ledger
from data_prep.pipeline import read_and_filter
from data_prep.prompts import ThinkFormat, encode, render_completion, render_prompt
from data_prep.traces import Trace
from recipes.data import DataSection
from recipes.errors import UserError

IGNORED = -100


@dataclass(frozen=True)
class Row:
    """One tokenised trace; labels are the ids themselves from the thinking on, -100 before it."""

    id: str
    input_ids: list[int]
    labels: list[int]


@dataclass(frozen=True)
class Prepared:
    """The rows of a recipe, with the count of what came in and what was dropped; `read == len(rows) + too_long`."""

    rows: list[Row]
    read: int
    too_long: int
    longest_tokens: int

    @property
    def tokens(self) -> int:
        return sum(len(row.input_ids) for row in self.rows)

    @property
    def labelled_tokens(self) -> int:
        return sum(label != IGNORED for row in self.rows for label in row.labels)

    @property
    def hash(self) -> str:
        """SHA-256 (16 hex digits) over all ids and labels in order."""
        digest = hashlib.sha256()
        for row in self.rows:
            digest.update(repr((row.input_ids, row.labels)).encode())
        return digest.hexdigest()[:16]

    def facts(self) -> dict[str, int | str]:
        """What the run record keeps of the data."""
        return {"traces_read": self.read, "traces_kept": len(self.rows), "traces_too_long": self.too_long,
                "longest_tokens": self.longest_tokens, "tokens": self.tokens, "labelled_tokens": self.labelled_tokens,
                "hash": self.hash}


def label_trace(trace: Trace, tokenizer: PreTrainedTokenizerBase, fmt: ThinkFormat) -> Row:
    """The row of one trace. Prompt and completion are tokenised apart, so no token straddles their border.

    ValueError where a mark occurs inside the thinking or the answer, or where the labelled ids do not spell the
    completion.
    """
    for name, text in (("thinking", trace.thinking), ("answer", trace.answer)):
        for mark in (fmt.open_mark, fmt.close_mark, fmt.stop, tokenizer.eos_token or fmt.stop):
            if mark in text:
                raise ValueError(f"trace {trace.id}: the {name} contains {mark!r}, which ends or opens a thought; "
                                 "remove it from the text")
    completion = render_completion(trace, fmt)
    prompt_ids = list(encode(render_prompt(trace.question, tokenizer, fmt), tokenizer))
    completion_ids = list(encode(completion, tokenizer))
    spelled = str(tokenizer.decode(completion_ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))
    if spelled != completion:
        raise ValueError(f"trace {trace.id}: the tokenizer does not give the trace back: "
                         f"{_first_difference(completion, spelled)}")
    return Row(id=trace.id, input_ids=prompt_ids + completion_ids, labels=[IGNORED] * len(prompt_ids) + completion_ids)


def _first_difference(text: str, spelled: str) -> str:
    at = next((i for i, (a, b) in enumerate(zip(text, spelled, strict=False)) if a != b), min(len(text), len(spelled)))
    return f"wrote {text[at:at + 20]!r}, reads back {spelled[at:at + 20]!r} (character {at})"


def prepare(section: DataSection, tokenizer: PreTrainedTokenizerBase, fmt: ThinkFormat) -> Prepared:
    """All rows of a recipe's data. Traces over `max_length_tokens` are dropped whole and counted, never cut."""
    return prepare_traces(list(read_and_filter(section, Ledger())), section.max_length_tokens, tokenizer, fmt)


def prepare_traces(
        traces: Sequence[Trace], max_length_tokens: int, tokenizer: PreTrainedTokenizerBase, fmt: ThinkFormat
) -> Prepared:
    """`prepare` for traces in memory; UserError where a trace cannot be labelled or none is left."""
    rows = []
    for trace in traces:
        try:
            rows.append(label_trace(trace, tokenizer, fmt))
        except ValueError as fault:
            raise UserError(f"data.traces ({trace.source}): {fault}") from None
    kept = [row for row in rows if len(row.input_ids) <= max_length_tokens]
    longest = max(len(row.input_ids) for row in rows)
    if not kept:
        raise UserError(f"data.max_length_tokens={max_length_tokens}: all {len(rows)} traces are longer "
                        f"(the longest has {longest} tokens); raise it")
    return Prepared(rows=kept, read=len(rows), too_long=len(rows) - len(kept), longest_tokens=longest)
