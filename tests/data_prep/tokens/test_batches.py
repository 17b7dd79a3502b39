"""A batch of traces: rows, lengths as they came, what was dropped and what was changed."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from tokenizers import normalizers

from data_prep.tokens.batches import TOO_LONG, BatchWork, Dropped, batches_of, refuse
from data_prep.tokens.prompts import think_format
from data_prep.tokens.tokenize import Labeller
from data_prep.trace import Trace
from recipes.data import DataSection, FormatSection
from recipes.errors import UserError
from tests.data_prep.tokenizers import CLOSE, IM_END, IM_START, THINK, TWO_LINES, qwen_like

QWEN = qwen_like()
PROMPT = [IM_START, *b"user\nq", IM_END, 10, IM_START, *b"assistant\n", THINK, 10]
AFTER = [10, CLOSE, TWO_LINES, *b"a", IM_END]
OTHERS = len(PROMPT) + len(AFTER)


def trace(thinking: str, identity: str = "t") -> Trace:
    return Trace(identity, "q", thinking, "a", "f")


def work(limit: int, overlong: Any = "drop", tokenizer: Any = QWEN) -> BatchWork:
    return BatchWork(Labeller(tokenizer, think_format(FormatSection(), tokenizer)), limit, overlong)


def test_the_row_of_a_trace_by_hand() -> None:
    batch = work(100)([trace("xyz")])
    (row,) = batch.rows.to_pylist()
    assert row == {"id": "t", "input_ids": [*PROMPT, *b"xyz", *AFTER], "prompt_tokens": len(PROMPT), "shortened": False}
    assert (batch.lengths, batch.dropped, batch.changes) == ([OTHERS + 3], [], [])


def test_a_trace_at_the_limit_stays_and_one_token_more_is_dropped_with_its_length() -> None:
    batch = work(OTHERS + 3)([trace("xyz", "1"), trace("wxyz", "2")])
    assert batch.rows["id"].to_pylist() == ["1"] and batch.lengths == [OTHERS + 3, OTHERS + 4]
    assert batch.dropped == [Dropped(TOO_LONG, "f 2", f"{OTHERS + 4} tokens")]


def test_a_trace_is_shortened_by_whole_steps_and_counted() -> None:
    batch = work(OTHERS + 6, "shorten")([trace("ab\n\ncd\n\nef")])
    (row,) = batch.rows.to_pylist()
    assert bytes(id for id in row["input_ids"][len(PROMPT) : -len(AFTER)] if id < 256) == b"abef"
    assert (row["shortened"], batch.changes, batch.lengths) == (True, ["shortened"], [OTHERS + 8])


def test_where_no_steps_fit_the_trace_is_dropped_and_says_so() -> None:
    batch = work(OTHERS + 2, "shorten")([trace("ab\n\ncd")])
    (dropped,) = batch.dropped
    assert dropped.why == f"{OTHERS + 5} tokens, and no two steps of its thinking fit"


def test_a_text_in_another_normal_form_is_counted() -> None:
    tokenizer = qwen_like()
    tokenizer.backend_tokenizer.normalizer = normalizers.NFC()
    assert work(100, tokenizer=tokenizer)([trace("cafe\u0301")]).changes == ["normalised"]


def test_a_trace_that_cannot_be_written_has_no_length() -> None:
    batch = work(100)([trace("</think>")])
    assert (batch.lengths, batch.dropped[0].reason, batch.rows.num_rows) == ([], "mark in the text", 0)


def section(**keys: str) -> DataSection:
    return DataSection.model_validate({"traces": {"source": "nano", "size": 1}, "max_length_tokens": 64, **keys})


@pytest.mark.parametrize(
    ("keys", "reason", "says"),
    [
        ({"on_error": "stop"}, "mark in the text", "trace f 1: why; data.on_error=skip leaves such traces out"),
        ({"overlong": "error"}, TOO_LONG, "trace f 1 has why, more than data.max_length_tokens=64"),
    ],
    ids=["stop", "error"],
)
def test_a_loss_that_the_recipe_does_not_allow_is_a_mistake(keys: dict[str, str], reason: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        refuse(Dropped(reason, "f 1", "why"), section(**keys))


@pytest.mark.parametrize(
    ("keys", "reason"), [({"on_error": "skip"}, "mark in the text"), ({"overlong": "drop"}, TOO_LONG)]
)
def test_a_loss_that_the_recipe_allows_is_no_mistake(keys: dict[str, str], reason: str) -> None:
    assert refuse(Dropped(reason, "f 1", "why"), section(**keys)) is None  # type: ignore[func-returns-value]


def test_batches_hold_128_traces_and_the_last_the_rest() -> None:
    assert [len(batch) for batch in batches_of([trace("x")] * 300)] == [128, 128, 44]
    assert list(batches_of([])) == []


def test_the_labels_do_not_depend_on_the_neighbours() -> None:
    traces = [dataclasses.replace(trace("x" * n), id=str(n)) for n in (1, 9, 4)]
    together = work(100)(traces).rows.to_pylist()
    assert together == [row for each in traces for row in work(100)([each]).rows.to_pylist()]
