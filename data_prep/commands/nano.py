"""Trains an embedded reasoner from scratch: `python -m data_prep nano recipe=nano_world.yaml out=DIR`.

A plain loop on one CPU thread (minutes), so that anyone can rebuild the shipped weights. A curriculum lengthens the
chains whenever the running loss is low enough; without it many seeds stay on a plateau. `recipe=ways_world.yaml`
trains the second world: once the plain chains are learned, they are solved in several ways, with slips
(`data_prep.nano_ways`).
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase, Qwen3Config, Qwen3ForCausalLM

from data_prep.nano_ways import WORDS, draw_way, draw_ways_question, ways_trace
from data_prep.nano_world import build_tokenizer, draw_trace
from data_prep.tokens.padding import pad_right
from data_prep.tokens.prompts import think_format
from data_prep.tokens.tokenize import IGNORED, Row, label_trace
from data_prep.trace import Trace
from recipes.command import split
from recipes.data import FormatSection
from recipes.errors import UserError
from recipes.loader import load
from recipes.nano import NanoRecipe, NanoTraining
from runtime.files import writing_fault

FORMAT = FormatSection(open="<think>", close="</think> ", cue="answer", wait="#1")


def build_model(recipe: NanoRecipe, vocabulary_size: int) -> Qwen3ForCausalLM:
    """A freshly initialised Qwen3 of the recipe's shape."""
    torch.manual_seed(recipe.seed)
    shape = recipe.model
    config = Qwen3Config(
        vocab_size=vocabulary_size,
        hidden_size=shape.hidden_size,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_value_heads,
        head_dim=shape.head_size,
        intermediate_size=shape.intermediate_size,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        initializer_range=0.05,
        bos_token_id=2,
        eos_token_id=3,
        pad_token_id=0,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
    )
    return Qwen3ForCausalLM(config)


def cut_into_batches(rows: list[Row], padded_tokens: int, rng: random.Random) -> list[list[Row]]:
    """Batches of rows of similar length, at most `padded_tokens` each, in random order."""
    batches: list[list[Row]] = [[]]
    for row in sorted(rows, key=lambda r: len(r.input_ids)):
        if len(row.input_ids) * (len(batches[-1]) + 1) > padded_tokens:
            batches.append([])
        batches[-1].append(row)
    rng.shuffle(batches)
    return batches


def collate(rows: list[Row]) -> dict[str, torch.Tensor]:
    """Right-padded tensors [rows, longest]."""
    batch = pad_right([row.input_ids for row in rows], pad_id=0)
    labels = pad_right([row.labels for row in rows], pad_id=IGNORED)["input_ids"]
    return {**batch, "labels": labels}


class Curriculum:
    """What is taught: the longest chain grows when the running loss (an exponential mean) falls below the threshold.

    From `ways_from_step` on, the chains are those of the second world.
    """

    def __init__(self, training: NanoTraining) -> None:
        self.training, self.stage, self.running_loss, self.step = training, 0, 3.0, 0

    @property
    def max_operations(self) -> int:
        return self.training.curriculum[self.stage]

    @property
    def with_ways(self) -> bool:
        return self.training.ways_from_step is not None and self.step >= self.training.ways_from_step

    def draw(self, rng: random.Random, family: str) -> Trace:
        """One trace of a family, as taught at this step."""
        if family == "chain" and self.with_ways:
            return ways_trace(draw_way(rng), draw_ways_question(rng), rng)
        return draw_trace(rng, family, self.max_operations)

    def update(self, loss: float) -> None:
        self.step += 1
        self.running_loss = 0.95 * self.running_loss + 0.05 * loss
        if self.running_loss < self.training.curriculum_loss and self.stage + 1 < len(self.training.curriculum):
            self.stage, self.running_loss = self.stage + 1, 1.0


def training_batches(
    rng: random.Random, tokenizer: PreTrainedTokenizerBase, curriculum: Curriculum
) -> Iterator[list[Row]]:
    """Endless batches of freshly drawn traces; the chain length follows the curriculum."""
    fmt, shares = think_format(FORMAT, tokenizer), curriculum.training.mixture
    while True:
        families = rng.choices(list(shares), weights=list(shares.values()), k=256)
        rows = [label_trace(curriculum.draw(rng, family), tokenizer, fmt) for family in families]
        yield from cut_into_batches(rows, curriculum.training.padded_tokens, rng)


def learning_rate_at(step: int, training: NanoTraining) -> float:
    """Linear warm-up, then a cosine to 2 % of the peak."""
    if step < training.warmup_steps:
        return training.learning_rate * (step + 1) / training.warmup_steps
    progress = (step - training.warmup_steps) / max(1, training.steps - training.warmup_steps)
    return training.learning_rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))


def train(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase, training: NanoTraining, rng: random.Random
) -> None:
    """Trains once by the curriculum and schedule of the recipe, on traces drawn by `rng`."""
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.98), weight_decay=training.weight_decay)
    curriculum = Curriculum(training)
    model.train()
    for step, rows in zip(range(training.steps), training_batches(rng, tokenizer, curriculum), strict=False):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(step, training)
        loss = model(**collate(rows), use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        curriculum.update(loss.item())
        if step % 50 == 0 or step + 1 == training.steps:
            taught = "in several ways" if curriculum.with_ways else f"up to {curriculum.max_operations}"
            print(f"step {step} loss {curriculum.running_loss:.4f} chains {taught}", flush=True)
    model.eval()


def build(recipe: NanoRecipe, out: Path) -> None:
    """Trains the model of `recipe` and writes it with its tokenizer to `out` (safetensors)."""
    torch.set_num_threads(1)
    trainings = [recipe.training] + ([recipe.then] if recipe.then else [])
    has_ways = any(training.ways_from_step is not None for training in trainings)
    tokenizer = build_tokenizer(WORDS if has_ways else ())
    model = build_model(recipe, len(tokenizer))
    for number, training in enumerate(trainings):
        train(model, tokenizer, training, random.Random(f"pretraining {recipe.seed}" + " again" * number))
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)


def main(arguments: list[str]) -> None:
    """The command; UserError if out= is missing."""
    keys, rest = split(arguments, {"out": "folder for the model"}, NanoRecipe)
    recipe = load(rest, NanoRecipe)
    if not keys.get("out"):
        raise UserError("data_prep nano: out=DIR is missing, the folder for the model")
    if fault := writing_fault(Path(keys["out"])):  # or it would be noticed only after the whole training
        raise UserError(f"out={keys['out']}: cannot be written ({fault}); name another folder")
    build(recipe, Path(keys["out"]))
