"""Uploads a sealed export to the Hugging Face Hub, and shows beforehand what would be uploaded.

Only sealed files are uploaded, and only after the folder was verified; new repositories are private.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError
from huggingface_hub.utils import validate_repo_id

from recipes.errors import UserError
from runtime.network import ANSWER_SECONDS, within
from runtime.seal import COMPLETE, read_seal

HEAD_LINES = 48


@dataclass(frozen=True)
class Upload:
    """An upload to the repository `name`: the sealed files of `folder` with their sizes in bytes, and the seal."""

    folder: Path
    name: str
    files: dict[str, int]

    def __str__(self) -> str:
        """One line per file, and the head of the model card."""
        total = sum(self.files.values())
        files = [f"{size:>15,}  {name}" for name, size in self.files.items()]
        card = (self.folder / "README.md").read_text(encoding="utf-8").splitlines()
        more = [f"… {len(card) - HEAD_LINES} more lines"] if len(card) > HEAD_LINES else []
        heading = f"{self.folder} to {self.name}: {len(self.files)} files, {total:,} bytes"
        return "\n".join([heading, *files, "model card:", *(f"  {line}" for line in [*card[:HEAD_LINES], *more])])


def upload_of(folder: Path, name: str) -> Upload:
    """The upload of a verified export: only files that the seal names."""
    sealed = read_seal(folder) or {}
    sizes = {file: (folder / file).stat().st_size for file in sorted(sealed) if (folder / file).is_file()}
    if "README.md" not in sizes:
        raise UserError(f"{folder}: its model card README.md is missing; restore it, or export again")
    return Upload(folder, name, {**sizes, COMPLETE: (folder / COMPLETE).stat().st_size})


def check_name(name: str) -> None:
    """UserError if `name` is not a USER/NAME of the Hub."""
    try:
        validate_repo_id(name)
    except HFValidationError as fault:
        raise UserError(f"push={name}: not a repository name ({_first_line(fault)}); use push=USER/NAME") from None
    if name.count("/") != 1:
        raise UserError(f"push={name}: must be USER/NAME, the account and the name of the repository")


def check_login(api: HfApi) -> None:
    """UserError, before anything is exported, if there is no valid login at the Hub."""
    with _in_one_line("push"):
        within(ANSWER_SECONDS, api.whoami)


def push(upload: Upload, api: HfApi) -> str:
    """Uploads, and returns the address. UserError, in one line, for what the Hub or the network refuses."""
    with _in_one_line(f"push={upload.name}"):
        address = within(ANSWER_SECONDS, lambda: api.create_repo(upload.name, private=True, exist_ok=True))
        api.upload_folder(
            repo_id=upload.name,
            folder_path=upload.folder,
            allow_patterns=list(upload.files),
            commit_message="A sealed export of chainmend",
        )
    return str(address)


@contextmanager
def _in_one_line(key: str) -> Iterator[None]:
    try:
        yield
    except LocalTokenNotFoundError:
        raise UserError(f"{key}: no token of the Hub on this machine; run `hf auth login`, or set HF_TOKEN") from None
    except (HfHubHTTPError, httpx.HTTPError, OSError) as fault:
        raise UserError(
            f"{key}: the Hub could not be used ({_first_line(fault)}); nothing is lost, the export is unchanged: "
            "check name, token and network, and push again"
        ) from None


def _first_line(fault: Exception) -> str:
    return (str(fault).strip() or type(fault).__name__).splitlines()[0][:200]
