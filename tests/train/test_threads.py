"""The share of the cores that a rank gets."""

from __future__ import annotations

import pytest

from train.threads import share_cores


@pytest.mark.parametrize(
    ("environment", "threads"),
    [
        ({}, "8"),
        ({"LOCAL_WORLD_SIZE": "2"}, "4"),
        ({"LOCAL_SIZE": "3"}, "2"),
        ({"LOCAL_WORLD_SIZE": "16"}, "1"),
        ({"LOCAL_WORLD_SIZE": "2", "OMP_NUM_THREADS": "7"}, "7"),
    ],
)
def test_ranks_share_eight_cores(environment: dict[str, str], threads: str) -> None:
    share_cores(environment, 8)
    assert environment["OMP_NUM_THREADS"] == threads
