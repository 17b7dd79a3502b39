"""The identity of a prepared set: a hash of everything that its rows depend on, its name in the cache."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from transformers import PreTrainedTokenizerBase

from data_prep.tokens.prompts import ThinkFormat, render_prompt
from recipes.data import DataSection
from recipes.paths import ROOT, find_path
from runtime.hub import check_data_set

LIBRARIES = ("transformers", "tokenizers", "rensa", "math-verify")
NOT_OF_THE_ROWS = {"cache_dir", "workers", "packing"}
"""keys that change how rows are made or used, but not the rows"""


def identity(section: DataSection, tokenizer: PreTrainedTokenizerBase, fmt: ThinkFormat, also: Any = None) -> str:
    """24 hex digits over rows, filters, format, lengths, tokenizer, template, code and libraries.

    Files count by their contents, a data set of the Hub by the fingerprint of its revision. `also` is anything else
    that the rows depend on (JSON-safe or a section).
    """
    parts = {
        # a format counts by its effect with this tokenizer: a date, only if the template writes one
        "section": section.model_dump(mode="json", exclude={*NOT_OF_THE_ROWS, "format"}),
        "sources": list(sources(section)),
        "also": [also.model_dump(mode="json"), *sources(also)] if isinstance(also, BaseModel) else also,
        "format": repr(fmt),
        "tokenizer": tokenizer_hash(tokenizer),
        "prompt": render_prompt("?", tokenizer, fmt),  # what the template actually writes
        "code": code_hash(),
        "libraries": {name: version(name) for name in LIBRARIES},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


def tokenizer_hash(tokenizer: PreTrainedTokenizerBase) -> str:
    """Vocabulary, merges, normaliser, added tokens and chat template."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    words = backend.to_str() if backend is not None else json.dumps(tokenizer.get_vocab(), sort_keys=True)
    parts = [words, json.dumps(tokenizer.chat_template, sort_keys=True), repr(tokenizer.special_tokens_map)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def code_hash() -> str:
    """The source files that read, filter and tokenise: a change of them gives new rows."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "data_prep").rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def sources(part: Any) -> Iterator[str]:
    """The contents of all files and data sets that a section names, at any depth, in the order of its keys."""
    if isinstance(part, BaseModel):
        fields = {name: getattr(part, name) for name in type(part).model_fields if name not in NOT_OF_THE_ROWS}
        if fields.get("source") == "hub":
            yield hub_fingerprint(fields["id"], fields.get("config"))
        part = fields
    if isinstance(part, Mapping):
        part = list(part.values())
    if isinstance(part, list | tuple):
        for item in part:
            yield from sources(item)
    elif isinstance(part, Path):
        yield content_hash(Path(find_path(str(part))))


def content_hash(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of a folder's files; `missing` if there is none."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    if path.is_dir():
        parts = [
            f"{inner.relative_to(path)} {content_hash(inner)}" for inner in sorted(path.rglob("*")) if inner.is_file()
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return "missing"


def hub_fingerprint(name: str, config: str | None) -> str:
    """The revision of a data set as `datasets` names it; a unique word if the Hub does not answer."""
    from datasets import load_dataset_builder

    try:
        check_data_set(name, "data.traces")
        builder = load_dataset_builder(name, config)
    except Exception:  # whatever the error is, the reader reports it better
        return f"unknown {uuid.uuid4().hex}"
    return f"{builder.name} {builder.config_id} {builder.hash}"
