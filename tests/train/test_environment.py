"""What is set for a process before torch is imported: its share of the cores, and the allocator of GPU memory."""

from __future__ import annotations

import pytest

from train.environment import ALLOCATOR, expands_segments, prepare, share_cores


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


@pytest.mark.parametrize(
    ("environment", "allocator"),
    [
        ({}, "expandable_segments:True"),
        ({"PYTORCH_ALLOC_CONF": "backend:cudaMallocAsync"}, "backend:cudaMallocAsync"),
        ({"PYTORCH_CUDA_ALLOC_CONF": "max_split_size_mb:64"}, None),
    ],
)
def test_segments_of_gpu_memory_grow_unless_the_user_says_otherwise(
    environment: dict[str, str], allocator: str | None
) -> None:
    prepare(environment, 8)
    assert environment.get(ALLOCATOR) == allocator


@pytest.mark.parametrize(
    ("environment", "expands"),
    [
        ({}, True),
        ({"PYTORCH_ALLOC_CONF": "expandable_segments:True"}, True),
        ({"PYTORCH_ALLOC_CONF": "garbage_collection_threshold:0.8, expandable_segments:true"}, True),
        ({"PYTORCH_ALLOC_CONF": "expandable_segments:False"}, False),
        ({"PYTORCH_CUDA_ALLOC_CONF": "max_split_size_mb:512"}, False),
    ],
)
def test_segments_expand_unless_the_user_says_otherwise(environment: dict[str, str], expands: bool) -> None:
    assert expands_segments(environment) is expands
