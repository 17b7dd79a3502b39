"""Limits the terminal to our own lines, a progress bar, and warnings of the libraries."""

from __future__ import annotations

import logging
import warnings

import datasets
import transformers


def calm_libraries(rank: int) -> None:
    """Shows warnings on rank 0 and errors elsewhere; hides the libraries' progress bars and deprecation warnings."""
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
