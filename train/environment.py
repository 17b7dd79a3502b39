"""What a process of a run needs in its environment before torch is imported, or it is too late."""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping

ALLOCATOR = "PYTORCH_ALLOC_CONF"
OLDER_ALLOCATOR = "PYTORCH_CUDA_ALLOC_CONF"
"""its name before torch 2.9, which still counts"""


def prepare(environment: MutableMapping[str, str], cores: int) -> None:
    """Sets what the user has not set; takes from DeepSpeed's log what it says of every machine without a GPU."""
    logging.getLogger("DeepSpeed").addFilter(tells_something)
    share_cores(environment, cores)
    if OLDER_ALLOCATOR not in environment:
        # traces of many lengths leave holes that segments of a fixed size cannot fill, and reserved memory grows
        environment.setdefault(ALLOCATOR, "expandable_segments:True")


def tells_something(record: logging.LogRecord) -> bool:
    """Whether a line of DeepSpeed's log is worth showing. That it runs on a CPU it warns of whenever it is imported,
    before any level can be set; a run on CPUs is a choice, and `train.processes` refuses ranks that lack a GPU."""
    return not record.getMessage().startswith("Setting accelerator to CPU")


def share_cores(environment: MutableMapping[str, str], cores: int) -> None:
    """Gives each rank of this machine its share of the cores, unless OMP_NUM_THREADS is set.

    More OpenMP threads than cores spin against each other: LoRA steps on two ranks were 14 times slower so.
    """
    ranks = int(environment.get("LOCAL_WORLD_SIZE", environment.get("LOCAL_SIZE", "1")))
    environment.setdefault("OMP_NUM_THREADS", str(max(1, cores // ranks)))
    environment.setdefault("TOKENIZERS_PARALLELISM", "false")


def expands_segments(environment: Mapping[str, str]) -> bool:
    """Whether the allocator of a run from `environment` expands its segments: unless the user says otherwise."""
    settings = environment.get(OLDER_ALLOCATOR, "") + "," + environment.get(ALLOCATOR, "")
    return not settings.strip(",") or "expandable_segments:true" in settings.replace(" ", "").lower()
