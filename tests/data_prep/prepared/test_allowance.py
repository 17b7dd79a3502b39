"""A pool that ends at a number of labelled tokens."""

from __future__ import annotations

import pyarrow as pa
import pytest

from data_prep.ledger import Ledger
from data_prep.prepared.allowance import BEYOND, Allowance
from data_prep.tokens.batches import SCHEMA
from recipes.errors import UserError


def rows(*labelled: int) -> pa.RecordBatch:
    """Rows of so many labelled tokens, each after a prompt of three."""
    ids = [[7] * (3 + tokens) for tokens in labelled]
    columns = [[f"row{number}" for number in range(len(ids))], ids, [3] * len(ids), [False] * len(ids)]
    return pa.record_batch([pa.array(column, kind) for column, kind in zip(columns, SCHEMA.types, strict=True)], SCHEMA)


@pytest.mark.parametrize(
    ("tokens", "kept"),
    [(None, [5, 9, 2, 4]), (20, [5, 9, 2, 4]), (19, [5, 9, 2]), (14, [5, 9]), (13, [5]), (4, [])],
)
def test_rows_are_taken_in_order_until_one_does_not_fit(tokens: int | None, kept: list[int]) -> None:
    within = Allowance(tokens).within(rows(5, 9, 2, 4), Ledger())
    assert [len(ids) - 3 for ids in within["input_ids"].to_pylist()] == kept


def test_a_shorter_row_after_one_that_does_not_fit_is_not_taken() -> None:
    allowance, ledger = Allowance(10), Ledger()
    assert [len(allowance.within(batch, ledger)) for batch in (rows(6), rows(5), rows(1))] == [1, 0, 0]


def test_rows_beyond_the_tokens_are_lost_by_name() -> None:
    ledger = Ledger()
    Allowance(13).within(rows(5, 9, 2), ledger)
    assert (dict(ledger.lost), ledger.named) == ({BEYOND: 2}, {BEYOND: ["row1", "row2"]})


def test_traces_that_end_before_the_tokens_are_refused() -> None:
    allowance = Allowance(100)
    allowance.within(rows(5, 9), Ledger())
    with pytest.raises(UserError, match=r"data.labelled_tokens=100: the traces have 14 labelled tokens in all"):
        allowance.check_spent()


@pytest.mark.parametrize("tokens", [None, 14, 13])
def test_traces_that_are_enough_are_not_refused(tokens: int | None) -> None:
    allowance = Allowance(tokens)
    allowance.within(rows(5, 9), Ledger())
    allowance.check_spent()
