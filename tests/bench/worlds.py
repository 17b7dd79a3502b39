"""What the benchmarks of training train: a pruned model, its traces as chainmend and as TRL reads them, a recipe.

embedded   the embedded reasoner without its last two layers on its own traces, 48 a step
qwen3      a random Qwen3 of 20 M parameters with a byte-level BPE, both of the GSM8K part, 16 traces a step
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from data_prep.filtering.pipeline import read_and_filter
from data_prep.ledger import Ledger
from data_prep.models import load_tokenizer
from data_prep.tokens.prompts import render_completion, render_prompt, think_format
from data_prep.trace import Trace
from recipes.data import DataSection, FormatSection
from recipes.loader import load_recipe, to_yaml
from recipes.paths import ROOT
from tests.bench.gsm8k import FILE, read, small_qwen3, tokenizer_of


@dataclass(frozen=True)
class World:
    """recipe: a recipe file that trains `model`, the pruned one, with sweeps of one problem, as no rival sweeps; batch:
    traces a step; row: tokens of a packed row; rows: packed rows that hold about a batch; micro_batch: how many of
    them go side by side."""

    name: str
    recipe: Path
    model: Path
    traces: Path
    batch: int
    row: int
    rows: int
    micro_batch: int


def embedded(folder: Path) -> World:
    recipe = load_recipe(["recipe=full_recovery.yaml"]).recipe
    tokenizer = load_tokenizer(recipe.model.unpruned, recipe.model)
    traces = write_traces(folder, read_and_filter(recipe.data, Ledger()), tokenizer, recipe.data.format)
    pruned = prune(folder, "full_recovery.yaml")
    sizes = [f"sweep.suites.{suite}.size=1" for suite in range(3)] + ["sweep.confirm=null"]
    file = write_recipe(folder, ["recipe=full_recovery.yaml", f"model.pruned={pruned}", "prune=null", *sizes])
    return World("embedded", file, pruned, traces, batch=48, row=256, rows=8, micro_batch=2)


def qwen3(folder: Path) -> World:
    found = read()
    tokenizer = tokenizer_of(found, words=8192)
    model = small_qwen3(tokenizer, hidden=384, layers=11)
    for each in (model, tokenizer):
        each.save_pretrained(folder / "unpruned")
    columns = {"question": "problem", "thinking": "solution"}
    data = {"traces": {"source": "jsonl", "path": str(FILE), "columns": columns}, "max_length_tokens": 1024}
    suite = {"source": "jsonl", "name": "gsm8k", "path": str(FILE), "size": 1, "grader": "integer"}
    recipe = {
        "model": {"unpruned": str(folder / "unpruned"), "dtype": "float32"},
        "prune": {"method": "tail", "layers": 1},
        "data": data,
        "trainer": {"lr_scheduler_type": "cosine", "gradient_checkpointing": False},
        "zero": {"stage": 2},
        "adapter": {"method": "none"},
        "sweep": {"budgets": [1, 2], "every_steps": 1000, "answer_tokens": 1, "suites": [suite]},
    }
    first = folder / "first.yaml"
    first.write_text(json.dumps(recipe))
    pruned = prune(folder, str(first))
    traces = write_traces(folder, found, tokenizer, DataSection.model_validate(data).format)
    file = write_recipe(folder, [f"recipe={first}", f"model.pruned={pruned}", "prune=null"])
    return World("qwen3", file, pruned, traces, batch=16, row=1024, rows=2, micro_batch=1)


WORLDS = {"embedded": embedded, "qwen3": qwen3}


def prune(folder: Path, recipe: str) -> Path:
    """The folder of the pruned model."""
    subprocess.run(
        [sys.executable, "-m", "prune", f"recipe={recipe}", f"output={folder / 'pruned'}"],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return folder / "pruned"


def write_recipe(folder: Path, arguments: list[str]) -> Path:
    """A recipe file of what the arguments come to."""
    file = folder / "recipe.yaml"
    file.write_text(to_yaml(load_recipe(arguments).recipe))
    return file


def write_traces(
    folder: Path, traces: Iterable[Trace], tokenizer: PreTrainedTokenizerBase, section: FormatSection
) -> Path:
    """The traces as the prompt and completion columns that TRL reads."""
    fmt = think_format(section, tokenizer)
    rows: list[dict[str, Any]] = [
        {"prompt": render_prompt(trace.question, tokenizer, fmt), "completion": render_completion(trace, fmt)}
        for trace in traces
    ]
    file = folder / "traces.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file
