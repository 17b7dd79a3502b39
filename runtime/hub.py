"""Models and data sets of the Hugging Face Hub: what a name in a recipe means, and how long the Hub is waited for.

The libraries ask the Hub for each file, cached or not. If it does not answer, they wait for each request in turn, and
for the request of a model's revision without any limit. So the Hub is asked once in a process whether it answers. If
it does not, the process continues as with HF_HUB_OFFLINE=1: copies in the local cache are used, and what is not there
is an error at once.
"""

from __future__ import annotations

import os
import sys
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Literal

from huggingface_hub import constants, try_to_load_from_cache
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from recipes.errors import UserError
from recipes.paths import ROOT, find_path
from runtime.network import ANSWER_SECONDS, silence

Kind = Literal["model", "dataset"]
FIRST_FILE: dict[Kind, str] = {"model": "config.json", "dataset": "README.md"}
"""the file that the libraries fetch first: whatever is in the cache has it"""
MOST_SIMILAR = 3


def find_model(name: str) -> str:
    """What a library is told to load for `name`: a folder, looked up as any path of a recipe, or `name` itself, a model
    that is in the local cache or, if the Hub answers, may be there.

    UserError if it is none of these. A name without an owner (my_model) is never asked for at the Hub: nearly always it
    is a mistyped folder, and the models that had such names have owners now (gpt2 is openai-community/gpt2).
    """
    place = find_path(name)
    if Path(place).exists():
        return place
    if not _is_cached(name, "model"):
        if not _has_owner(name):
            raise _no_model(name, _missing(name, "there is no such folder"))
        if why := hub_silence():
            nowhere = f"there is no such folder, it is not in the local cache, and the Hub cannot be asked: {why}"
            raise _no_model(name, _missing(name, nowhere))
    hub_silence()  # of a model that is cached, too, each file would be asked for
    return name


def check_data_set(name: str, key: str) -> None:
    """UserError if `name` can be no data set: neither a folder nor in the local cache, and without an owner.

    key: the key under which the user wrote it. Otherwise, decides whether the Hub is asked.
    """
    if Path(name).exists():
        return
    if "/" not in name and not _is_cached(name, "dataset"):
        missing = _missing(name, "there is no such folder")
        raise UserError(
            f"{key}: no data set {name!r} ({missing}); name a data set of the Hub as owner/name, or read your "
            "own file (source: file, or jsonl for a suite)"
        )
    hub_silence()


@cache
def hub_silence() -> str:
    """Why the Hub cannot be asked; "" if it can. Only the first call asks, and says on stderr if there is no answer."""
    if constants.is_offline_mode():
        return "HF_HUB_OFFLINE is set"
    why = silence(constants.ENDPOINT, ANSWER_SECONDS)
    if why:
        _go_offline()
        if os.environ.get("RANK", "0") == "0":
            told = f"the Hugging Face Hub ({constants.ENDPOINT}) cannot be reached ({why})"
            print(f"{told}; only copies in the local cache are used", file=sys.stderr, flush=True)
    return why


def _go_offline() -> None:
    """From here on, nothing of this process and of those that it starts asks the Hub."""
    os.environ["HF_HUB_OFFLINE"] = "1"  # read by PEFT, by processes that are started, and by modules imported later
    constants.HF_HUB_OFFLINE = True  # read at each request of huggingface_hub and transformers
    if (config := sys.modules.get("datasets.config")) is not None:
        config.HF_HUB_OFFLINE = True  # type: ignore[attr-defined]  # its own copy, made when it was imported


def did_you_mean(name: str) -> str:
    """`did you mean …?` with the folders in the same place whose names are similar; "" if there is none."""
    path = Path(name).expanduser()
    parents = {parent.resolve(): None for parent in (path.parent, ROOT / path.parent) if parent.is_dir()}
    names = {child.name for parent in parents for child in parent.iterdir() if child.is_dir()}
    similar = [str(path.with_name(found)) for found in get_close_matches(path.name, sorted(names), MOST_SIMILAR)]
    return f"did you mean {' or '.join(similar)}?" if similar else ""


def _missing(name: str, why: str) -> str:
    return "; ".join(filter(None, [why, did_you_mean(name)]))


def _no_model(name: str, why: str) -> UserError:
    return UserError(
        f"model: no model at {name!r} ({why}); name a folder of a Hugging Face checkpoint or a Hub id (owner/name)"
    )


def _has_owner(name: str) -> bool:
    return name.count("/") == 1 and _is_id(name)


def _is_id(name: str) -> bool:
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def _is_cached(name: str, kind: Kind) -> bool:
    return _is_id(name) and isinstance(try_to_load_from_cache(name, FIRST_FILE[kind], repo_type=kind), str)
