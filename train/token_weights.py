"""Weights of labelled tokens in a distillation (`loss.tokens`), by the damage of pruning at each token.

Measured once for a pair of models and a set of traces, and stored next to the prepared set:
<data.cache_dir>/damage-<identity>/damage.npy   float32 [labelled, 3]: KL(unpruned || pruned), and the entropies of the
                                                pruned and of the unpruned model, in nats
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from data_prep.fingerprint import fingerprint
from data_prep.models import load_model
from data_prep.prepared.by_label import ByLabel, label_starts
from data_prep.prepared.prepare import Prepared, Say
from data_prep.tokens.padding import pad_right
from data_prep.tokens.tokenize import IGNORED, Row
from recipes.loss import DistillLoss
from recipes.schema import ModelSection
from runtime.cache import make_once
from runtime.progress import progress
from runtime.pulse import beat
from train.loss.base import labelled_positions
from train.loss.distill import divergences

FILE = "damage.npy"
MEASURES = 3
CHUNK_ROWS, BATCH_TOKENS = 64, 4096
FORWARD, REVERSE = 0.0, 1.0


@dataclass(frozen=True)
class TokenWeights:
    """Weights with mean 1 over all labelled tokens. starts: where the labels of each row begin (`label_starts`)."""

    weights: np.ndarray
    starts: np.ndarray

    def of_row(self, row: int) -> np.ndarray:
        """float32 [labelled] of one row of the prepared set."""
        weights: np.ndarray = self.weights[self.starts[row] : self.starts[row + 1]]
        return weights


def token_weights(section: DistillLoss, damage: ByLabel) -> TokenWeights:
    """The weights of `section` from the measured damage."""
    divergence, pruned, unpruned = np.asarray(damage.array, np.float64).T  # each [labelled]
    if section.tokens == "damage":
        return TokenWeights(by_damage(divergence), damage.starts)
    return TokenWeights(by_entropy(pruned - unpruned, section.entropy_share), damage.starts)


def by_damage(divergence: np.ndarray) -> np.ndarray:
    """Weights proportional to the divergence [labelled]; all 1 if it is 0 everywhere."""
    mean = divergence.mean()
    shares = divergence.clip(min=0) / mean if mean > 0 else np.ones_like(divergence)
    weights: np.ndarray = shares.astype(np.float32)
    return weights


def by_entropy(gap: np.ndarray, share: float) -> np.ndarray:
    """Equal weights for the `share` of tokens with the largest gap [labelled], 0 for the rest; ties go to the first."""
    count = max(1, round(share * len(gap)))
    chosen = np.argsort(-gap, kind="stable")[:count]
    weights = np.zeros(len(gap), np.float32)
    weights[chosen] = len(gap) / count
    return weights


def measure_damage(model: ModelSection, pruned: str, prepared: Prepared, cache: Path, say: Say) -> ByLabel:
    """The measurements of every labelled token, from the cache if available; call it in one process."""
    folder = cache / f"damage-{_identity(model, pruned, prepared)}"
    outcome = make_once(folder, lambda place: _make(place / FILE, model, pruned, prepared), say)
    say(f"damage of the cut at each token {outcome} in {folder}")
    return open_damage(model, pruned, prepared, cache)


def open_damage(model: ModelSection, pruned: str, prepared: Prepared, cache: Path) -> ByLabel:
    folder = cache / f"damage-{_identity(model, pruned, prepared)}"
    return ByLabel(folder / FILE, label_starts(prepared.rows))


def _identity(model: ModelSection, pruned: str, prepared: Prepared) -> str:
    parts = [prepared.hash, fingerprint(model.unpruned), fingerprint(pruned), model.dtype]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def _make(file: Path, section: ModelSection, pruned: str, prepared: Prepared) -> None:
    place = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    models = [load_model(path, section).eval().to(place) for path in (section.unpruned, pruned)]
    starts = label_starts(prepared.rows)
    array = np.lib.format.open_memmap(file, "w+", np.float32, (int(starts[-1]), MEASURES))
    with progress("damage of the cut", len(prepared.rows), "traces") as work:
        for start in range(0, len(prepared.rows), CHUNK_ROWS):
            rows = prepared.rows[start : start + CHUNK_ROWS]
            for at, measures in damages(models[0], models[1], rows):
                array[starts[start + at] : starts[start + at + 1]] = measures
                beat(len(rows[at].input_ids))  # both models may take hours for a large set
                work.advance()
    array.flush()


@torch.no_grad()
def damages(
    unpruned: PreTrainedModel, pruned: PreTrainedModel, rows: Sequence[Row]
) -> Iterator[tuple[int, np.ndarray]]:
    """(place of the row, float32 [labelled, 3]); the longest rows go first."""
    waiting = sorted(range(len(rows)), key=lambda i: -len(rows[i].input_ids))
    while waiting:
        size = max(1, BATCH_TOKENS // len(rows[waiting[0]].input_ids))
        places, waiting = waiting[:size], waiting[size:]
        batch = _batch([rows[place] for place in places], unpruned.device)
        (taught, _), (own, _) = (labelled_positions(model, batch) for model in (unpruned, pruned))
        divergence, entropy = divergences(pruned, own, unpruned, taught, FORWARD, 1.0)
        _, taught_entropy = divergences(unpruned, taught, pruned, own, REVERSE, 1.0)
        measures = torch.stack([divergence, entropy, taught_entropy], -1).cpu().numpy()
        counts = [sum(label != IGNORED for label in rows[place].labels) for place in places]
        yield from zip(places, np.split(measures, np.cumsum(counts)[:-1]), strict=True)


def _batch(rows: Sequence[Row], device: torch.device) -> dict[str, Any]:
    inputs = pad_right([row.input_ids for row in rows], 0)
    labels = torch.full_like(inputs["input_ids"], IGNORED)
    for at, row in enumerate(rows):
        labels[at, : len(row.labels)] = torch.tensor(row.labels)
    return {name: tensor.to(device) for name, tensor in {**inputs, "labels": labels}.items()}
