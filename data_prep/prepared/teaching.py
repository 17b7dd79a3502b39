"""A teacher's predictions at the labelled tokens of a prepared set: its likeliest tokens and their log-probabilities.

<folder>/ids.npy       int32 [labelled, k]
         logprobs.npy  float16 [labelled, k + 1], natural logarithms at the temperature; last: all other tokens
         teach.json    the teacher, the traces and the temperature
         COMPLETE      size and SHA-256 of these files
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.prepared.by_label import ByLabel, label_starts
from data_prep.prepared.prepare import Prepared
from recipes.errors import UserError
from runtime.cache import fault_of

IDS, LOGPROBS, FACTS = "ids.npy", "logprobs.npy", "teach.json"
AGAIN = "make it again: python -m data_prep teach recipe=… out=NEW_FOLDER"


@dataclass(frozen=True)
class Teaching:
    """facts: teacher (fingerprint), dtype, data (hash of ids and labels), temperature, k."""

    facts: Mapping[str, Any]
    ids: ByLabel
    logprobs: ByLabel


def open_teaching(folder: Path, prepared: Prepared, expected: Mapping[str, Any]) -> Teaching:
    """The distributions in `folder` for the traces of `prepared`. UserError if the folder is incomplete, or was made
    from other traces, by another teacher or at another temperature (`expected`: facts by name)."""
    fault = fault_of(folder)
    if fault is not None:
        raise UserError(f"loss.teacher.logits={folder}: {fault}; {AGAIN}")
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    words = {"teacher": "another teacher", "data": "other traces, lengths or another template"}
    for name, value in {**expected, "data": prepared.hash}.items():
        if facts.get(name) != value:
            raise UserError(
                f"loss.teacher.logits={folder}: made with {words.get(name, f'another {name}')} ({facts.get(name)}, "
                f"this run's is {value}); {AGAIN}"
            )
    starts = label_starts(prepared.rows)
    return Teaching(facts, ByLabel(folder / IDS, starts), ByLabel(folder / LOGPROBS, starts))
