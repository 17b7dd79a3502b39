"""A Hugging Face Hub that answers or does not, and a local cache of it, for one test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from huggingface_hub import constants

from runtime.hub import hub_silence

COMMIT = "0" * 40


@contextmanager
def hub_at(address: str, cache: Path, seconds: float = 0.05) -> Iterator[None]:
    """This process asks `address` for the Hub, for `seconds` at most, and has its local cache in `cache`."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("huggingface_hub.constants", "datasets.config"):
            patch.setattr(f"{module}.HF_HUB_OFFLINE", False)
        patch.setattr(constants, "ENDPOINT", address)
        patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
        patch.setattr(constants, "HF_HUB_CACHE", str(cache))
        patch.setattr("runtime.hub.ANSWER_SECONDS", seconds)
        patch.setenv("HF_HUB_OFFLINE", "0")
        hub_silence.cache_clear()
        yield
        hub_silence.cache_clear()


def put_into_cache(cache: Path, name: str, folder: Path, kind: str = "models") -> None:
    """Puts the files of `folder` into a local cache as those of `name`."""
    place = cache / f"{kind}--{name.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(COMMIT)
    (place / "snapshots").mkdir()
    os.symlink(folder.resolve(), place / "snapshots" / COMMIT)
