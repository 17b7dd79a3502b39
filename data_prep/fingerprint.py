"""A cheap fingerprint of a checkpoint, so that a plan can say which unpruned model it belongs to."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import BinaryIO

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

from recipes.paths import find_path

SAMPLES = 64
SAMPLE_BYTES = 4096


def fingerprint(model: str) -> str:
    """`sha256:` of config.json and of every `model*.safetensors` of a folder or of a Hub id that is in the local cache.

    Of a weight file only its name, its size, its header and 64 evenly spaced samples of 4 KiB are read. A model that
    was trained further is recognised within a second whatever its size; a few changed bytes between two samples are
    not. Returns "" if the weights are not on this machine.
    """
    folder = local_folder(model)
    if folder is None or not (folder / "config.json").is_file():
        return ""
    digest = hashlib.sha256((folder / "config.json").read_bytes())
    weights = sorted(folder.glob("model*.safetensors"))
    if not weights:  # a Hub model of which only the config was downloaded so far
        return ""
    for path in weights:
        digest.update(f"\n{path.name} {path.stat().st_size}\n".encode())
        with path.open("rb") as stream:
            _add_samples(digest, stream, path.stat().st_size)
    return f"sha256:{digest.hexdigest()}"


def local_folder(model: str) -> Path | None:
    """The folder that `model` names, looked up as a recipe does, or a Hub id's cached snapshot; None without one."""
    path = Path(find_path(model))
    if path.is_dir():
        return path
    try:
        return Path(snapshot_download(model, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        return None


def _add_samples(digest: hashlib._Hash, stream: BinaryIO, size_bytes: int) -> None:
    header_bytes = int.from_bytes(stream.read(8), "little")
    digest.update(stream.read(min(header_bytes, size_bytes)))
    for i in range(SAMPLES):
        stream.seek(max(0, size_bytes - SAMPLE_BYTES) * i // (SAMPLES - 1), os.SEEK_SET)
        digest.update(stream.read(SAMPLE_BYTES))
