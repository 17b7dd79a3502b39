"""Pruned models on the disk, beside the unpruned ones, and the ways in which tests spoil them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as t
from safetensors.torch import load_file, save_file

from data_prep.fingerprint import fingerprint
from data_prep.nano_world import build_tokenizer
from prune.plan import PrunePlan
from prune.surgery import apply_plan, save_pruned
from tests.prune.models import LAYERS, SHAPE, build

GONE = object()
"""in place of a value: the key goes"""
REMOVED = (0, 3)
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8}
SINKS = {"sliding_window": 4, "num_local_experts": 4, "num_experts_per_tok": 2}
WITH_EXPERTS: dict[str, Callable[[], t.PreTrainedModel]] = {
    "qwen3_moe": lambda: t.Qwen3MoeForCausalLM(t.Qwen3MoeConfig(**SHAPE, **EXPERTS)),
    "gpt_oss": lambda: t.GptOssForCausalLM(t.GptOssConfig(**SHAPE, **SINKS)),
}

Weights = dict[str, torch.Tensor]
Spoil = Callable[[Path], None]


def make_pair(family: str, root: Path) -> tuple[Path, Path]:
    """(pruned, unpruned) folders of a family, each with the embedded tokenizer."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, tokenizer = WITH_EXPERTS[family]() if family in WITH_EXPERTS else build(family), build_tokenizer()
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    for part in (model, tokenizer):
        part.save_pretrained(root / "unpruned")
    source = fingerprint(str(root / "unpruned"))
    plan = PrunePlan(method="layers", layers=LAYERS, removed=REMOVED, unpruned=str(root / "unpruned"), source=source)
    save_pruned(apply_plan(model, plan), tokenizer, plan, root / "pruned")
    return root / "pruned", root / "unpruned"


def config(**changes: Any) -> Spoil:
    return in_json("config.json", **changes)


def in_json(name: str, **changes: Any) -> Spoil:
    def spoil(folder: Path) -> None:
        held = {**json.loads((folder / name).read_text()), **changes}
        (folder / name).write_text(json.dumps({key: value for key, value in held.items() if value is not GONE}))

    return spoil


def text(name: str, content: str) -> Spoil:
    return lambda folder: (folder / name).write_text(content) and None


def gone(*names: str) -> Spoil:
    return lambda folder: [(folder / name).unlink() for name in names] and None


def moved(name: str, to: str) -> Spoil:
    return lambda folder: (folder / name).rename(folder / to) and None


def weights(change: Callable[[Weights], Weights]) -> Spoil:
    def spoil(folder: Path) -> None:
        tensors = change(load_file(folder / "model.safetensors"))
        whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
        save_file(whole, folder / "model.safetensors", metadata={"format": "pt"})

    return spoil


def value(name: str, number: float) -> Spoil:
    """One number of a tensor becomes another."""

    def change(tensors: Weights) -> Weights:
        tensors[name].view(-1)[1] = number
        return tensors

    return weights(change)


def zero(*parts: str) -> Spoil:
    """Every tensor whose name holds one of the parts becomes zero."""
    return weights(
        lambda tensors: {
            name: torch.zeros_like(tensor) if any(part in name for part in parts) else tensor
            for name, tensor in tensors.items()
        }
    )


def without(part: str) -> Spoil:
    return weights(lambda tensors: {name: tensor for name, tensor in tensors.items() if part not in name})


def renamed(change: Callable[[str], str]) -> Spoil:
    return weights(lambda tensors: {change(name): tensor for name, tensor in tensors.items()})


def in_dtype(part: str, dtype: torch.dtype) -> Spoil:
    return weights(
        lambda tensors: {name: tensor.to(dtype) if part in name else tensor for name, tensor in tensors.items()}
    )


def sharded(folder: Path) -> None:
    """The same weights in many files with an index."""
    model = t.AutoModelForCausalLM.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="8KB")


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("model-*.safetensors"))


def both(*spoils: Spoil) -> Spoil:
    def spoil(folder: Path) -> None:
        for each in spoils:
            each(folder)

    return spoil


def of_tokenizer(change: Callable[[t.PreTrainedTokenizerBase], None]) -> Spoil:
    def spoil(folder: Path) -> None:
        tokenizer = t.AutoTokenizer.from_pretrained(folder)
        change(tokenizer)
        shutil.rmtree(folder / "chat_template.jinja", ignore_errors=True)
        tokenizer.save_pretrained(folder)

    return spoil


def in_tokenizer(change: Callable[[dict[str, int]], dict[str, int]]) -> Spoil:
    """Another vocabulary: token -> id."""

    def spoil(folder: Path) -> None:
        held = json.loads((folder / "tokenizer.json").read_text())
        held["model"]["vocab"] = change(held["model"]["vocab"])
        (folder / "tokenizer.json").write_text(json.dumps(held))

    return spoil
