"""A checkpoint named by a user: a whole model, or the folder of a LoRA adapter, which names its base model."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from data_prep.fingerprint import fingerprint
from data_prep.models import DTYPES, load_model, load_tokenizer
from data_prep.soundness import check_model
from eval.adapters import check_fits
from eval.types import Weights
from recipes.engines import EngineSection
from recipes.errors import UserError
from recipes.paths import find_path
from recipes.schema import ModelSection
from runtime.hub import find_model
from runtime.seal import damage_of

ADAPTER_CONFIG = "adapter_config.json"
READ_HERE = (".safetensors", ".json", ".jinja", ".txt", ".model")


@dataclass(frozen=True)
class Checkpoint:
    """Folder (or Hub id) of a whole model, and the folder of an adapter on top of it, if any."""

    base: str
    adapter: str | None = None


def find_checkpoint(path: str, base: str = "") -> Checkpoint:
    """The checkpoint at `path`; base: the model under an adapter, if the adapter names none or the model has moved.

    Raises UserError if an adapter does not say which model it belongs to, or if a run's checkpoint differs from what
    was saved."""
    folder = Path(find_path(path))
    damage = damage_of(folder, READ_HERE)
    if damage:
        raise UserError(f"model={path} is damaged: {'; '.join(damage[:3])}; name another checkpoint")
    if not (folder / ADAPTER_CONFIG).is_file() or (folder / "config.json").is_file():
        if base:
            raise UserError(f"base={base}: {path} is a whole model, not an adapter; leave base out")
        return Checkpoint(find_path(path))
    base = base or json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8")).get("base_model_name_or_path")
    if not base:
        raise UserError(
            f"model={path}: its {ADAPTER_CONFIG} does not name the model that the adapter belongs to; add base=DIR"
        )
    return Checkpoint(find_path(base), str(folder))


def fetch(checkpoint: Checkpoint) -> None:
    """Downloads a Hub model, so that its weights can be identified, and checks that it is sound before any sweep.
    Raises UserError if either fails."""
    if not fingerprint(checkpoint.base) and not Path(checkpoint.base).is_dir():
        _download(checkpoint)
    check_model(checkpoint.base)
    if checkpoint.adapter is not None:
        check_fits(Path(checkpoint.adapter), checkpoint.base)


def _download(checkpoint: Checkpoint) -> None:
    try:
        snapshot_download(find_model(checkpoint.base), allow_patterns=["*.json", "*.safetensors", "*.txt", "*.jinja"])
    except (OSError, ValueError) as fault:
        raise UserError(
            f"model={checkpoint.base}: the weights cannot be downloaded ({str(fault).strip().splitlines()[0][:200]})"
        ) from None


def checkpoint_hash(checkpoint: Checkpoint, section: ModelSection) -> str:
    """Identifies the weights in the dtype of the sweep; "" if they are not on this machine."""
    base = fingerprint(checkpoint.base).removeprefix("sha256:")[:16]
    if checkpoint.adapter is None or not base:
        return f"{base}-{section.dtype}" if base else ""
    files = sorted(Path(checkpoint.adapter).glob("adapter_*"))
    adapter = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]
    return f"{base}+{adapter}-{section.dtype}"


def checkpoint_tokenizer(checkpoint: Checkpoint, section: ModelSection) -> PreTrainedTokenizerBase:
    """The adapter's own tokenizer if one was saved with it, else that of its base model."""
    if checkpoint.adapter is not None and (Path(checkpoint.adapter) / "tokenizer_config.json").is_file():
        return load_tokenizer(checkpoint.adapter, section)
    return load_tokenizer(checkpoint.base, section)


LoadBase = Callable[[str, ModelSection], PreTrainedModel]


def checkpoint_weights(
    checkpoint: Checkpoint, section: ModelSection, engine: EngineSection, load_base: LoadBase = load_model
) -> Weights:
    """The weights for an engine: loaded for the in-process engine (onto a GPU if there is one), else as a folder.

    load_base: loads the model under an adapter.
    """
    model = None
    if engine.in_process:
        gpu = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        model = _load(checkpoint, section, load_base)
        model.to(gpu if torch.cuda.is_available() else torch.device("cpu"))  # type: ignore[arg-type]
    return Weights(
        model=model,
        folder=checkpoint.base,
        adapter=checkpoint.adapter,
        dtype=section.dtype,
        trust_remote_code=section.trust_remote_code,
    )


def _load(checkpoint: Checkpoint, section: ModelSection, load_base: LoadBase) -> PreTrainedModel:
    """The model; an adapter is merged in float32 and cast once, since merging in bfloat16 would round it away."""
    if checkpoint.adapter is None:
        return load_model(checkpoint.base, section)
    base = load_base(checkpoint.base, section.changed(dtype="float32"))
    merged: PreTrainedModel = PeftModel.from_pretrained(base, checkpoint.adapter).merge_and_unload(safe_merge=True)
    return merged.to(DTYPES[section.dtype])  # type: ignore[arg-type]
