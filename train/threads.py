"""CPU threads: set before torch is imported, or it is too late."""

from __future__ import annotations

from collections.abc import MutableMapping


def share_cores(environment: MutableMapping[str, str], cores: int) -> None:
    """Gives each rank of this machine its share of the cores, unless OMP_NUM_THREADS is set.

    More OpenMP threads than cores spin against each other: LoRA steps on two ranks were 14 times slower so.
    """
    ranks = int(environment.get("LOCAL_WORLD_SIZE", environment.get("LOCAL_SIZE", "1")))
    environment.setdefault("OMP_NUM_THREADS", str(max(1, cores // ranks)))
    environment.setdefault("TOKENIZERS_PARALLELISM", "false")
