"""The trainer section with SFTConfig's defaults, against SFTConfig itself."""

from __future__ import annotations

from typing import Any

import pytest
from trl import SFTConfig

from train.batch import Batch, setting


@pytest.mark.parametrize("name", ["max_steps", "num_train_epochs", "save_steps", "save_total_limit", "learning_rate"])
def test_what_a_section_leaves_out_is_what_sftconfig_takes(name: str) -> None:
    assert setting({}, name) == getattr(SFTConfig(output_dir="x", use_cpu=True, bf16=False), name)


def test_what_a_section_says_stands_even_where_it_is_null() -> None:
    assert setting({"save_total_limit": None, "max_steps": 7}, "save_total_limit") is None


def test_a_field_that_sftconfig_lacks_is_an_error() -> None:
    with pytest.raises(KeyError, match="per_device_batch"):
        setting({}, "per_device_batch")


@pytest.mark.parametrize(
    ("trainer", "batch"),
    [
        ({}, Batch(8, 1, False)),
        ({"per_device_train_batch_size": 2, "gradient_accumulation_steps": 3}, Batch(2, 3, False)),
        ({"dataloader_drop_last": True}, Batch(8, 1, True)),
    ],
)
def test_a_batch_is_read_from_the_section(trainer: dict[str, Any], batch: Batch) -> None:
    assert Batch.of(trainer) == batch


def test_the_global_batch_is_over_ranks_and_accumulation() -> None:
    assert Batch(4, 3, False).global_batch(ranks=2) == 24
