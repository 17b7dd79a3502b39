"""What the terminal shows: our own lines, a progress bar, and warnings of the libraries; not their chatter."""

from __future__ import annotations

import logging
import warnings

import datasets
import transformers


def calm_libraries(rank: int) -> None:
    """Warnings on rank 0, errors elsewhere; no progress bars but our own, and no deprecations between libraries."""
    level = logging.WARNING if rank == 0 else logging.ERROR
    transformers.logging.set_verbosity(level)
    transformers.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    for name in ("DeepSpeed", "deepspeed", "accelerate", "torch.distributed"):
        logging.getLogger(name).setLevel(level)
    libraries = r"(accelerate|deepspeed|peft|torch|transformers|trl)\b"
    warnings.filterwarnings("ignore", category=FutureWarning, module=libraries)
    if rank != 0:
        warnings.simplefilter("ignore")
