"""Where the labels of a batch are."""

from __future__ import annotations

import numpy as np
import torch

from train.loss.positions import POSITIONS, WithPositions, positions_of

LABELS = torch.tensor([[-100, 5, -100, 7], [3, -100, -100, -100], [-100, -100, -100, 9]])


def test_a_position_is_the_one_before_its_label() -> None:
    assert positions_of(LABELS).tolist() == [0, 2, 4 * 2 + 2]  # the first label of a row is predicted by nothing


def test_no_labels_no_positions() -> None:
    assert positions_of(torch.full((2, 3), -100)).tolist() == []


def test_a_batch_keeps_all_that_it_has() -> None:
    batch = WithPositions(lambda examples: {"labels": LABELS, "input_ids": examples})([1, 2])
    assert (batch["input_ids"], batch[POSITIONS].tolist(), len(batch)) == ([1, 2], [0, 2, 10], 3)


def test_columns_are_joined_in_the_order_of_the_labels() -> None:
    examples = [{"weight": np.array([1.0, 2.0])}, {"weight": np.zeros(0)}, {"weight": np.array([3.0])}]
    batch = WithPositions(lambda examples: {"labels": LABELS}, ("weight",))(examples)
    assert batch["weight"].tolist() == [1.0, 2.0, 3.0]
