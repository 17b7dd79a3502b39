"""Which pickles a resume may load. Optimizer states are pickles, which DeepSpeed loads unchecked. A pickle can run
arbitrary code, and so could a checkpoint made by somebody else.

Before anything of a checkpoint is loaded, torch's restricted reader therefore reads each pickle once. It accepts
tensors, plain values and the classes named here, which have no side effects when constructed. Storages are mapped, not
read, so this takes milliseconds. Anything else is refused, unless the recipe trusts the checkpoint by name
(`run.trust_checkpoint`).
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from recipes.errors import UserError
from recipes.file_names import name_fault
from runtime.ranks import Ranks, from_every_rank, on_first_rank
from runtime.seal import COMPLETE, files_of, read_seal, run_of, share_of

ENDINGS = (".pt", ".pth", ".bin", ".pkl", ".ckpt")
NEVER_LOADED = "training_args.bin"
"""the Trainer writes it but never reads it"""
HARMLESS = (
    "numpy.ndarray",
    "numpy.dtype",
    "numpy._core.multiarray._reconstruct",
    "numpy.core.multiarray._reconstruct",
    "numpy.dtypes.UInt32DType",
    "deepspeed.runtime.zero.config.ZeroStageEnum",
    "deepspeed.runtime.fp16.loss_scaler.LossScaler",
    "deepspeed.runtime.fp16.loss_scaler.DynamicLossScaler",
    "deepspeed.utils.tensor_fragment.fragment_address",
)
"""classes that the Trainer (random states) and DeepSpeed write, other than tensors and plain values"""


def check_trusted(checkpoint: Path, run_id: str | None, trusted: Path | None, ranks: Ranks) -> None:
    """UserError, on all ranks, if a checkpoint is not of the run `run_id`, or has a pickle that is not in its seal or
    that could run code; a checkpoint that the recipe names as `trusted` is accepted. Each rank reads its share."""
    if trusted is not None and trusted.resolve() == checkpoint.resolve():
        on_first_rank(ranks, lambda: print(f"resume {checkpoint}: trusted by run.trust_checkpoint", flush=True))
        return
    names: Sequence[str] = on_first_rank(ranks, lambda: _own_pickles(checkpoint, run_id))
    mine = share_of(names, ranks.rank, ranks.count)
    shares = from_every_rank(ranks, lambda: [fault for name in mine if (fault := pickle_fault(checkpoint / name))])
    faults = [fault for share in shares for fault in share]
    if faults:
        raise UserError(f"{checkpoint}: {'; '.join(faults[:3])}; {_remedy(checkpoint)}")


def pickle_fault(path: Path) -> str | None:
    """A description of what a pickle would load that may not be harmless; None if it is harmless."""
    torch.serialization.add_safe_globals(list(_harmless()))  # permanently: its context affects all threads anyway
    try:
        torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except UnpicklingError as fault:
        said = str(fault).splitlines()
        why = next((line.strip() for line in said if "GLOBAL" in line or "Unsupported" in line), said[0])
        return f"{path.name} could run code when it is loaded ({why[:200]})"
    except Exception as fault:  # a malformed file may raise anything; we did not write it
        return f"{path.name} cannot be read ({type(fault).__name__}: {str(fault).strip().splitlines()[:1]!s:.200})"
    return None


def _harmless() -> Iterator[Any]:
    for name in HARMLESS:
        module, _, thing = name.rpartition(".")
        with suppress(ImportError, AttributeError):  # other releases keep it elsewhere
            yield getattr(importlib.import_module(module), thing), name


def _own_pickles(checkpoint: Path, run_id: str | None) -> list[str]:
    """The pickles of a checkpoint, largest first. UserError if it is of another run, or if some were added later."""
    of = run_of(checkpoint)
    if of is not None and of != run_id:
        raise UserError(
            f"{checkpoint} was written by another run ({of}; the run.json next to it is of {run_id}); "
            + _remedy(checkpoint)
        )
    if outside := _way_out(checkpoint):
        raise UserError(f"{checkpoint}: {outside}, where nothing is checked; {_remedy(checkpoint)}")
    pickles = [name for name in files_of(checkpoint) if name.endswith(ENDINGS) and Path(name).name != NEVER_LOADED]
    sealed = read_seal(checkpoint)
    if sealed is not None and (later := [name for name in pickles if name not in sealed]):
        raise UserError(f"{checkpoint}: {later[0]} is not in its {COMPLETE}, so it was added later; remove it")
    return pickles


def _way_out(checkpoint: Path) -> str | None:
    """A description of what in a checkpoint would load files outside it; None if nothing does."""
    for pointer in ("latest", "latest_universal"):  # DeepSpeed joins its content to the checkpoint's path
        file = checkpoint / pointer
        if file.is_file() and name_fault(file.read_text(encoding="utf-8", errors="replace").strip()):
            return f"{pointer} names no folder inside it"
    links = (path for path in checkpoint.rglob("*") if path.is_symlink() and path.is_dir())
    link = next(links, None)
    return None if link is None else f"{link.relative_to(checkpoint)} is a link to a folder"


def _remedy(checkpoint: Path) -> str:
    return (
        "a checkpoint of somebody else can run their code on this machine; if you know who wrote it, resume "
        f"with run.trust_checkpoint={checkpoint}"
    )
