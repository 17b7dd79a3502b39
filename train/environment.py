"""Environment variables that a process of a run must set before torch is imported."""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping

ALLOCATOR = "PYTORCH_ALLOC_CONF"
OLDER_ALLOCATOR = "PYTORCH_CUDA_ALLOC_CONF"
"""its name before torch 2.9, which is still read"""


def prepare(environment: MutableMapping[str, str], cores: int) -> None:
    """Sets variables that the user has not set; filters the warning that DeepSpeed logs on machines without a GPU."""
    logging.getLogger("DeepSpeed").addFilter(tells_something)
    share_cores(environment, cores)
    if OLDER_ALLOCATOR not in environment:
        # traces of many lengths fragment segments of a fixed size, so reserved memory would grow
        environment.setdefault(ALLOCATOR, "expandable_segments:True")


def tells_something(record: logging.LogRecord) -> bool:
    """Whether to show a line of DeepSpeed's log. On a CPU it warns at every import, before any log level can be set. A
    run on CPUs is deliberate, and `train.processes` refuses ranks that lack a GPU."""
    return not record.getMessage().startswith("Setting accelerator to CPU")


def share_cores(environment: MutableMapping[str, str], cores: int) -> None:
    """Gives each rank of this machine its share of the cores, unless OMP_NUM_THREADS is set.

    More OpenMP threads than cores wait for each other in busy loops: LoRA steps on two ranks took 14 times as long.
    """
    ranks = int(environment.get("LOCAL_WORLD_SIZE", environment.get("LOCAL_SIZE", "1")))
    environment.setdefault("OMP_NUM_THREADS", str(max(1, cores // ranks)))
    environment.setdefault("TOKENIZERS_PARALLELISM", "false")


def expands_segments(environment: Mapping[str, str]) -> bool:
    """Whether the allocator of a run in `environment` uses expandable segments: yes, unless the user disabled them."""
    settings = environment.get(OLDER_ALLOCATOR, "") + "," + environment.get(ALLOCATOR, "")
    return not settings.strip(",") or "expandable_segments:true" in settings.replace(" ", "").lower()
