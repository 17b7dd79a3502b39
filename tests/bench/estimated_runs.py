"""Small real runs whose peak memory is estimated and measured: models made from a shape, launched with DeepSpeed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from recipes.paths import ROOT
from tests.train.runs import MODEL, environment, free_port

SMALL = (
    "trainer.max_steps=3",
    "trainer.logging_steps=1",
    "sweep.every_steps=100",
    "sweep.budgets=[8,16]",
    "sweep.confirm=null",
    "sweep.suites.0.size=2",
    "sweep.suites.1.size=2",
    "sweep.suites.2.size=4",
    "sweep.confirm=null",
    "sweep.engine.batch_size=4",
    "sweep.engine.memory_gb=1",
    "data.traces.size=2000",
    "wandb.mode=disabled",
    "export.enabled=false",
    "trainer.save_strategy=no",
)


@dataclass(frozen=True)
class Shape:
    """A Qwen3 with random weights."""

    hidden: int
    layers: int
    vocabulary: int


@dataclass(frozen=True)
class Case:
    """One run: a shape (None: the embedded model), how many ranks, a shipped recipe and what is changed in it."""

    name: str
    shape: Shape | None
    ranks: int
    recipe: str
    keys: tuple[str, ...]

    def arguments(self, cache: Path) -> list[str]:
        """Of the run and of its estimate."""
        model = [f"model.unpruned={write_model(self.shape, cache)}"] if self.shape else []
        places = [f"run.cache_dir={cache}", f"data.cache_dir={cache / 'data'}"]
        values = dict(each.split("=", 1) for each in [*SMALL, *model, *places, *self.keys])
        return [f"recipe={self.recipe}_recovery.yaml", *(f"{key}={value}" for key, value in values.items())]


def write_model(shape: Shape, cache: Path) -> Path:
    """The model's folder in the cache, with the tokenizer of the embedded one."""
    folder = cache / f"qwen3-{shape.hidden}-{shape.layers}-{shape.vocabulary}"
    if not folder.is_dir():
        torch.manual_seed(0)
        Qwen3ForCausalLM(
            Qwen3Config(
                vocab_size=shape.vocabulary,
                hidden_size=shape.hidden,
                num_hidden_layers=shape.layers,
                num_attention_heads=shape.hidden // 64,
                num_key_value_heads=shape.hidden // 128,
                head_dim=64,
                intermediate_size=3 * shape.hidden,
                max_position_embeddings=4096,
                tie_word_embeddings=True,
                bos_token_id=2,
                eos_token_id=3,
                pad_token_id=0,
            )
        ).save_pretrained(folder)
        for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
            shutil.copy(MODEL / name, folder)
    return folder


def measured_peaks(case: Case, folder: Path, cache: Path) -> list[int]:
    """The peak resident memory of every rank of a real run, in bytes; what was printed is shown where it fails."""
    folder.mkdir(parents=True)
    command = [
        "deepspeed",
        "--num_accelerators",
        str(case.ranks),
        "--master_port",
        str(free_port()),
        str(ROOT / "tests" / "bench" / "measured_run.py"),
        *case.arguments(cache),
        f"run.dir={folder / 'run'}",
    ]
    if case.ranks == 1 and "zero.stage=0" in case.keys:
        command = [sys.executable, *command[5:]]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment(PEAK_FOLDER=str(folder)),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{case.name} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return [int((folder / str(rank)).read_text()) for rank in range(case.ranks)]
