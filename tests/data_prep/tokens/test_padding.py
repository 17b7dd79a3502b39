"""Right padding by hand."""

from __future__ import annotations

from data_prep.tokens.padding import pad_right


def test_right_padding_by_hand() -> None:
    batch = pad_right([[5, 6, 7], [8]], pad_id=9)
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 9, 9]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
