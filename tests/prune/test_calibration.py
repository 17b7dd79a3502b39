"""Calibration batches by hand."""

from __future__ import annotations

from data_prep.tokens.tokenize import Row
from prune.calibration import calibration_batches


def test_the_first_rows_are_batched_longest_first() -> None:
    rows = [Row(str(n), [n] * n, [n] * n) for n in (2, 4, 1, 3, 9)]
    batches = calibration_batches(rows, count=4, batch_size=3, pad_id=0)
    assert [batch["input_ids"].tolist() for batch in batches] == [[[4, 4, 4, 4], [3, 3, 3, 0], [2, 2, 0, 0]], [[1]]]


def test_more_rows_than_there_are_give_what_there_is() -> None:
    assert len(calibration_batches([Row("1", [1], [1])], count=99, batch_size=8, pad_id=0)) == 1
