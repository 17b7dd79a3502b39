"""Random Qwen3 models of published shapes with long traces, for the benchmarks on a GPU: nothing is downloaded.

    python -m tests.bench.gpu_worlds SHAPE FOLDER     writes one (another process, which leaves no memory held)

The tokenizer is the embedded reasoner's, under a vocabulary of Qwen3's size; a trace is a chain of its words, of 800 to
8,000 tokens, median about 3,000. What the words say does not matter to a clock.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from recipes.paths import ROOT
from runtime.ranks import environment_without_ranks

NANO = ROOT / "data_prep" / "nano_model"
FORMAT = {"open": "<think>", "close": "</think> ", "cue": "answer", "wait": "#1"}
TRACES, PROBLEMS = 256, 64
LEAST_TOKENS, MOST_TOKENS, LOG_MEDIAN, LOG_SPREAD = 800, 8000, 8.0, 0.55


@dataclass(frozen=True)
class Shape:
    """Of a Qwen3, as published; heads of 128. row_tokens: of a packed row in the benchmarks."""

    hidden: int
    layers: int
    heads: int
    key_value_heads: int
    intermediate: int
    tied: bool
    vocabulary: int = 151_936
    head: int = 128
    row_tokens: int = 8192


SHAPES = {
    "0.6B": Shape(1024, 28, 16, 8, 3072, True),
    "1.7B": Shape(2048, 28, 16, 8, 6144, True),
    "8B": Shape(4096, 36, 32, 8, 12_288, False),
    "tiny": Shape(64, 4, 2, 1, 128, True, vocabulary=512, head=32, row_tokens=256),  # for the tests of the benchmarks
}


@dataclass(frozen=True)
class World:
    """What a shape trains on, in a folder of its own."""

    shape: str
    folder: Path

    @property
    def model(self) -> Path:
        return self.folder / "unpruned"

    @property
    def recipe(self) -> Path:
        return self.folder / "recipe.yaml"

    @property
    def rival_rows(self) -> Path:
        """The traces as prompt and completion, for a script without recipes."""
        return self.folder / "rival.jsonl"


def world_of(shape: str, root: Path) -> World:
    """The world of a shape under `root`, made by another process where it is not there. SystemExit where it fails."""
    world = World(shape, root / shape)
    if not world.recipe.is_file():
        command = [sys.executable, "-m", "tests.bench.gpu_worlds", shape, str(world.folder)]
        environment = {**environment_without_ranks(), "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"the model of {shape} cannot be made: {done.stderr[-2000:]}")
    return world


def write_world(world: World) -> None:
    """Model, traces, problems and recipe; the recipe last, since it says that all is there."""
    shape = SHAPES[world.shape]
    world.folder.mkdir(parents=True, exist_ok=True)
    write_model(shape, world.model)
    lengths = trace_lengths(shape.row_tokens)
    traces = [chain(place, length) for place, length in enumerate(lengths)]
    _write_rows(world.folder / "traces.jsonl", traces)
    _write_rows(world.rival_rows, [_as_completion(trace) for trace in traces])
    problems = [
        {"id": str(i), "problem": trace["question"], "answer": trace["answer"]} for i, trace in enumerate(traces)
    ]
    _write_rows(world.folder / "suite.jsonl", problems[:PROBLEMS])
    world.recipe.write_text(json.dumps(recipe_of(world)), encoding="utf-8")


def write_model(shape: Shape, folder: Path) -> None:
    """Random weights in bfloat16, made on a GPU where there is one."""
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    config = Qwen3Config(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_value_heads,
        head_dim=shape.head,
        intermediate_size=shape.intermediate,
        max_position_embeddings=40_960,
        tie_word_embeddings=shape.tied,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        bos_token_id=2,
        eos_token_id=3,
        pad_token_id=0,
    )
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = Qwen3ForCausalLM(config)
    model.save_pretrained(folder)
    torch.set_default_dtype(torch.float32)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(NANO / name, folder)


def trace_lengths(row_tokens: int) -> list[int]:
    """Tokens of each trace's thought: lognormal, as reasoning traces are; shortened for small rows."""
    draw = random.Random(0)
    drawn = (int(draw.lognormvariate(LOG_MEDIAN, LOG_SPREAD)) for _ in range(TRACES))
    part = row_tokens / 8192
    return [max(4, int(min(MOST_TOKENS, max(LEAST_TOKENS, length)) * part)) for length in drawn]


def chain(place: int, tokens: int) -> dict[str, str]:
    """A trace whose thought has so many tokens: one for each word."""
    draw = random.Random(place)
    words = [*(f"#{i}" for i in range(1, 25)), *(f"+{i}" for i in range(1, 6)), *map(str, range(11))]
    question = f"start {place % 11} {' '.join(draw.choices(words, k=12))} ?"
    answer = str(place % 11)
    return {
        "id": str(place),
        "question": question,
        "thinking": " ".join(draw.choices(words, k=tokens)),
        "answer": answer,
    }


def _as_completion(trace: dict[str, str]) -> dict[str, str]:
    prompt = f"<bos><|user|> {trace['question']}<|assistant|>"
    return {"prompt": prompt, "completion": f"<think> {trace['thinking']} </think> answer {trace['answer']}<eos>"}


def recipe_of(world: World) -> dict[str, Any]:
    """Packed rows, micro batch 1 x 2, ZeRO-2, bfloat16; as little of sweeps as a run can do."""
    traces = {"source": "jsonl", "path": str(world.folder / "traces.jsonl")}
    suite = {"source": "jsonl", "name": "chain", "path": str(world.folder / "suite.jsonl"), "size": 1}
    return {
        "seed": 1,
        "model": {"unpruned": str(world.model), "dtype": "bfloat16"},
        "prune": {"method": "tail", "layers": 2},
        "data": {
            "traces": traces,
            "max_length_tokens": SHAPES[world.shape].row_tokens,
            "packing": True,
            "format": FORMAT,
        },
        "trainer": {
            "per_device_train_batch_size": 1,
            "gradient_accumulation_steps": 2,
            "max_steps": 8,
            "learning_rate": 1e-5,
            "logging_steps": 1,
            "save_strategy": "no",
        },
        "zero": {"stage": 2},
        "export": {"enabled": False},
        "wandb": {"mode": "disabled"},
        "sweep": {
            "budgets": [1, 2],
            "every_steps": 1000,
            "answer_tokens": 1,
            "engine": {"name": "hf", "memory_gb": 4},
            "suites": [{**suite, "grader": "integer"}],
        },
    }


def _write_rows(file: Path, rows: list[dict[str, str]]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    write_world(World(sys.argv[1], Path(sys.argv[2])))
