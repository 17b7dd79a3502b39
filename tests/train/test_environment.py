"""What is set for a process before torch is imported: its share of the cores, and the allocator of GPU memory."""

from __future__ import annotations

import logging

import pytest

from train.environment import ALLOCATOR, expands_segments, prepare, share_cores, tells_something


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


@pytest.mark.parametrize(
    ("text", "shown"),
    [("Setting accelerator to CPU. If you have GPU or other accelerator, …", False), ("CPU Adam: a fault", True)],
)
def test_what_deepspeed_says_of_every_cpu_is_left_out(text: str, shown: bool) -> None:
    record = logging.LogRecord("DeepSpeed", logging.WARNING, "real_accelerator.py", 213, text, None, None)
    assert tells_something(record) is shown
    prepare({}, 8)
    assert tells_something in logging.getLogger("DeepSpeed").filters
