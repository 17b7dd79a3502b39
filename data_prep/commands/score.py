"""`python -m data_prep score recipe=FILE out=FILE [pruned=DIR]`: the loss of both models on every trace of a recipe.

Rows {id, trace, loss_unpruned, loss_pruned, gap, tokens, lost}: mean loss in nats per labelled token of the text that
is trained (with `overlong: shorten`, the shortened trace); `trace` is a hash of the text as read. Losses are null if
the trace is too long or cannot be labelled, and `lost` says which (with `overlong: error` or `on_error: stop` the
command stops instead). The traces are read once. `data.select.scores` names the file. A run does not make it: it
prepares its traces before there is a pruned model, since pruning may need them. Losses are kept in
`run.cache_dir`/scores by model and by the trace's tokens, so that a killed command resumes.
"""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import torch

from data_prep.commands.loss import trace_losses
from data_prep.filtering.pipeline import read_and_filter
from data_prep.filtering.select import trace_hash
from data_prep.fingerprint import fingerprint
from data_prep.ledger import Ledger
from data_prep.models import load_config, load_model, load_tokenizer
from data_prep.suites.confirm import measured_suites
from data_prep.tokens.batches import BatchWork, Dropped, refuse
from data_prep.tokens.prompts import think_format
from data_prep.tokens.tokenize import Labeller, Row
from data_prep.trace import Trace
from data_prep.traces.files import check_new, new_file, write_row
from recipes.command import split
from recipes.errors import UserError
from recipes.loader import load_recipe
from recipes.schema import ModelSection, Recipe
from runtime.files import writing_fault
from runtime.journal import Journal
from runtime.progress import progress

CHUNK_TRACES = 256
KEYS = {
    "out": "the file of scores; an existing one is never overwritten",
    "pruned": "the pruned model; default: model.pruned",
    "batch_tokens": "padded tokens per batch (default 4096)",
}


@dataclass(frozen=True)
class Scored:
    """What identifies a trace in the files, and how many of its tokens are labelled. A trace without a score has no
    key, and `lost` says why."""

    id: str
    trace: str
    tokens: int
    key: str | None
    lost: str | None = None


def main(arguments: list[str]) -> None:
    """Scores under the unpruned model, then under the pruned one, and writes the file."""
    keys, rest = split(arguments, KEYS, Recipe)
    recipe = load_recipe(rest).recipe
    if not keys.get("out"):
        raise UserError("data_prep score: out=FILE is missing, the file of scores")
    out, batch_tokens = Path(keys["out"]), _positive(keys.get("batch_tokens", "4096"))
    check_new(out)
    pruned = keys.get("pruned") or recipe.model.pruned
    if pruned is None:
        raise UserError(
            "data_prep score: pruned=DIR is missing, the pruned model; python -m prune recipe=… output=DIR makes it"
        )
    for path in (recipe.model.unpruned, pruned):
        load_config(path, recipe.model)  # report a wrong name now, not after hours with the other model
    with tempfile.TemporaryFile("w+", encoding="ascii") as rows_file:
        traces = [_write_row(scored, row, rows_file) for scored, row in labelled(recipe)]
        keys_of_rows = {scored.key for scored in traces if scored.key is not None}
        losses_by_model = [
            losses(path, recipe, rows_file, keys_of_rows, batch_tokens) for path in (recipe.model.unpruned, pruned)
        ]
    with new_file(out) as file:
        for scored in traces:
            pair = [None if scored.key is None else by_key[scored.key] for by_key in losses_by_model]
            write_row(file, _score_row(scored, *pair))
    print(f"scores {out}")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise UserError(f"batch_tokens={text}: must be a whole number of at least 1")
    return int(text)


def _write_row(scored: Scored, row: Row | None, rows_file: TextIO) -> Scored:
    """Writes the row to the file from which both models read it."""
    if row is not None:
        rows_file.write(json.dumps([scored.key, asdict(row)]) + "\n")
    return scored


def _rows_of(rows_file: TextIO) -> Iterator[tuple[str, Row]]:
    """(key, row) of everything that `_write_row` wrote, from the beginning."""
    rows_file.seek(0)
    for line in rows_file:
        key, row = json.loads(line)
        yield key, Row(**row)


def labelled(recipe: Recipe) -> Iterator[tuple[Scored, Row | None]]:
    """Every trace that would reach the selection, with its row; without a row if it is too long or cannot be labelled.

    UserError at the first loss that the recipe does not allow.
    """
    section, tokenizer = recipe.data, load_tokenizer(recipe.model.unpruned, recipe.model)
    work = BatchWork(
        Labeller(tokenizer, think_format(section.format, tokenizer)), section.max_length_tokens, section.overlong
    )
    suites = measured_suites(recipe.sweep)
    traces = read_and_filter(section.changed(select=None), Ledger(), suites)
    while chunk := list(islice(traces, CHUNK_TRACES)):
        for trace, outcome in zip(chunk, work.labeller.label_all(chunk), strict=True):
            fitting = work.fitting(trace, outcome)
            if isinstance(fitting, Dropped):
                refuse(fitting, section)
                yield Scored(trace.id, trace_hash(trace), 0, None, fitting.reason), None
            else:
                yield _scored(trace, fitting.row())


def _scored(trace: Trace, row: Row) -> tuple[Scored, Row]:
    key = hashlib.sha256(repr((row.input_ids, row.labels)).encode()).hexdigest()[:24]
    return Scored(trace.id, trace_hash(trace), sum(label >= 0 for label in row.labels), key), row


def losses(path: str, recipe: Recipe, rows_file: TextIO, wanted: set[str], batch_tokens: int) -> dict[str, float]:
    """The loss of the model at `path` on every row of the file, by the row's key; `wanted` is the set of all keys.
    Losses that the cache lacks are computed."""
    section: ModelSection = recipe.model
    if fault := writing_fault(recipe.run.cache_dir / "scores"):
        raise UserError(f"run.cache_dir={recipe.run.cache_dir}: cannot be written ({fault}); name another folder")
    model = load_model(path, section).eval()
    model.to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    weights = fingerprint(path)
    journal = Journal(
        recipe.run.cache_dir / "scores" / f"{weights.removeprefix('sha256:')[:16]}-{section.dtype}",
        {"fingerprint": weights, "dtype": section.dtype},
    )
    loss_of: dict[str, float] = {row["key"]: row["loss"] for row in journal.rows()}
    cached, scored, left = len(loss_of), 0, len(wanted - loss_of.keys())
    rows = ((key, row) for key, row in _rows_of(rows_file) if key not in loss_of)
    with journal.writer(0) as writer, progress(f"losses under {path}", left, "traces") as work:
        while chunk := dict(islice(rows, CHUNK_TRACES)):
            keys, waiting = list(chunk), list(chunk.values())
            for place, loss in trace_losses(model, waiting, batch_tokens):
                if not math.isfinite(loss):
                    raise UserError(
                        f"data_prep score: the loss of {path} on trace {waiting[place].id} is {loss}; "
                        "the weights overflow or are broken"
                    )
                loss_of[keys[place]] = loss
                scored += 1
                work.advance()
                writer.add({"key": keys[place], "loss": loss})
    print(f"{path}: {scored:,} traces scored, {cached:,} were cached", flush=True)
    return loss_of


def _score_row(scored: Scored, unpruned: float | None, pruned: float | None) -> dict[str, Any]:
    gap = None if unpruned is None or pruned is None else pruned - unpruned
    return {
        "id": scored.id,
        "trace": scored.trace,
        "loss_unpruned": unpruned,
        "loss_pruned": pruned,
        "gap": gap,
        "tokens": scored.tokens,
        "lost": scored.lost,
    }
