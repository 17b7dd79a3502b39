"""`python -m data_prep teach recipe=FILE out=DIR [k=64] [batch_tokens=4096]`: the unpruned model's likeliest tokens.

For every labelled token of the recipe's prepared set it stores the k likeliest tokens, their log-probabilities at
`loss.temperature`, and the mass of all others: 6 k + 2 bytes per labelled token. `loss.teacher.logits=DIR` then trains
on them without a second model. The folder appears when it is complete; a killed command starts from the beginning.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from data_prep.fingerprint import fingerprint
from data_prep.models import load_model, load_tokenizer
from data_prep.prepared.by_label import label_starts
from data_prep.prepared.prepare import Prepared, prepare
from data_prep.prepared.teaching import FACTS, IDS, LOGPROBS
from data_prep.suites.confirm import measured_suites
from data_prep.tokens.padding import pad_right
from data_prep.tokens.prompts import think_format
from data_prep.tokens.tokenize import Row
from data_prep.traces.files import check_new
from recipes.command import split
from recipes.errors import UserError
from recipes.loader import load_recipe
from recipes.loss import DistillLoss
from recipes.schema import Recipe
from runtime.cache import make_once
from runtime.progress import progress
from runtime.pulse import beat

DEFAULT_K = 64
CHUNK_ROWS = 64
SLICE_TOKENS = 1024
"""number of tokens whose logits are converted to float32 at once"""
KEYS = {
    "out": "the folder; an existing one is never overwritten",
    "k": f"how many tokens are kept at each position (default {DEFAULT_K})",
    "batch_tokens": "padded tokens per batch (default 4096)",
}


def main(arguments: list[str]) -> None:
    keys, rest = split(arguments, KEYS, Recipe)
    recipe = load_recipe(rest).recipe
    if not keys.get("out"):
        raise UserError("data_prep teach: out=DIR is missing, the folder for the unpruned model's predictions")
    out = Path(keys["out"])
    k, batch_tokens = (
        _positive(key, keys.get(key, usual)) for key, usual in (("k", DEFAULT_K), ("batch_tokens", 4096))
    )
    check_new(out)
    tokenizer = load_tokenizer(recipe.model.unpruned, recipe.model)
    form = think_format(recipe.data.format, tokenizer)
    prepared = prepare(recipe.data, tokenizer, form, print, measured_suites(recipe.sweep))
    model = load_model(recipe.model.unpruned, recipe.model).eval()
    vocabulary = model.get_output_embeddings().weight.shape[0]
    if k >= vocabulary:
        raise UserError(f"data_prep teach: k={k}: the model has {vocabulary:,} tokens; write a smaller number")
    model.to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    facts = {
        "teacher": fingerprint(recipe.model.unpruned),
        "dtype": recipe.model.dtype,
        "data": prepared.hash,
        "temperature": recipe.loss.temperature if isinstance(recipe.loss, DistillLoss) else 1.0,
        "k": k,
    }
    make_once(out, lambda folder: _write(folder, model, prepared, facts, batch_tokens), print)
    size = sum(path.stat().st_size for path in out.iterdir())
    print(f"taught {out}: {prepared.labelled_tokens:,} labelled tokens, the {k} likeliest each, {size / 1e6:,.1f} MB")


def _positive(key: str, given: Any) -> int:
    text = str(given)
    if not text.isdecimal() or int(text) < 1:
        raise UserError(f"data_prep teach: {key}={text}: must be a whole number of at least 1")
    return int(text)


def _write(folder: Path, model: PreTrainedModel, prepared: Prepared, facts: dict[str, Any], batch_tokens: int) -> None:
    starts, k = label_starts(prepared.rows), int(facts["k"])
    ids, logprobs = (
        np.lib.format.open_memmap(folder / name, "w+", kind, (int(starts[-1]), width))
        for name, kind, width in ((IDS, np.int32, k), (LOGPROBS, np.float16, k + 1))
    )
    with progress("predictions of the unpruned model", len(prepared.rows), "traces") as work:
        for start in range(0, len(prepared.rows), CHUNK_ROWS):
            rows = prepared.rows[start : start + CHUNK_ROWS]
            for place, chosen, logs in likeliest(model, rows, k, float(facts["temperature"]), batch_tokens):
                own = slice(int(starts[start + place]), int(starts[start + place + 1]))
                ids[own], logprobs[own] = chosen, logs
                beat(len(rows[place].input_ids))
                work.advance()
    for array in (ids, logprobs):
        array.flush()
    (folder / FACTS).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


@torch.no_grad()
def likeliest(
    model: PreTrainedModel, rows: Sequence[Row], k: int, temperature: float, batch_tokens: int
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """(index of the row, ids int32 [labelled, k], log-probabilities float16 [labelled, k + 1]), the longest first."""
    waiting = sorted(range(len(rows)), key=lambda i: -len(rows[i].input_ids))
    while waiting:
        size = max(1, batch_tokens // len(rows[waiting[0]].input_ids))
        batch, waiting = waiting[:size], waiting[size:]
        inputs = pad_right([rows[i].input_ids for i in batch], 0)
        logits = model(**{name: tensor.to(model.device) for name, tensor in inputs.items()}, use_cache=False).logits
        for at, place in enumerate(batch):
            labels = np.array(rows[place].labels)
            predicting = logits[at, torch.from_numpy(np.flatnonzero(labels >= 0) - 1).to(logits.device)]
            parts = [_cells(part.float() / temperature, k) for part in predicting.split(SLICE_TOKENS)]
            chosen, logs = (torch.cat(tensors).cpu().numpy() for tensors in zip(*parts, strict=True))
            yield place, chosen.astype(np.int32), logs.astype(np.float16)


def _cells(logits: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """logits [positions, vocabulary] to the likeliest tokens [positions, k] and logs [positions, k + 1]."""
    logs = logits.log_softmax(-1)
    own, chosen = logs.topk(k, -1)
    # summed over the others: 1 - the sum of the chosen ones is only rounding error if they have nearly all the mass
    others = logs.scatter(-1, chosen, float("-inf")).logsumexp(-1, keepdim=True)
    return chosen, torch.cat([own, others], -1)
