"""Narrowed models and such of low rank go the whole way: cut, train, sweep, export, doctor."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from data_prep.nano_world import build_tokenizer
from prune.inspect import check_folder
from tests.train.runs import MODEL, run_here, small

QUICK = (
    "zero.stage=0",
    "trainer.max_steps=2",
    "trainer.save_steps=2",
    "sweep.every_steps=2",
    "sweep.budgets=[8,16]",
    "data.traces.size=40",
)
PRUNES = {
    "width": "{method: width, width: 128, calibration_traces: 8}",
    "by layer": "{method: width, share: 0.7, multiple: 8, widths: by_layer, calibration_traces: 8}",
    "low rank": "{method: low_rank, share: 0.6, multiple: 8, calibration_traces: 8}",
}


def llama(folder: Path) -> Path:
    """A random Llama that reads the embedded world."""
    tokenizer = build_tokenizer()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        sizes = {"hidden_size": 64, "intermediate_size": 192, "num_hidden_layers": 2, "num_attention_heads": 4}
        tokens = {"bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0, "max_position_embeddings": 512}
        model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), num_key_value_heads=2, **sizes, **tokens))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "prune", "training"),
    [("qwen3", "width", "lora"), ("llama", "by layer", "full"), ("llama", "low rank", "lora")],
)
def test_the_export_is_a_plain_checkpoint_of_the_stored_width(
    family: str, prune: str, training: str, tmp_path: Path
) -> None:
    model = MODEL if family == "qwen3" else llama(tmp_path / "llama")
    overrides = (f"model.unpruned={model}", f"prune={PRUNES[prune]}", *QUICK)
    assert run_here(small(training, tmp_path / "run", tmp_path / "cache", *overrides)) == 0
    facts, record = check_folder(tmp_path / "run" / "export"), json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts.plan is not None and record["prune_plan"]["method"] == facts.plan.method
    exported = AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "export")
    widths = {layer.mlp.up_proj.weight.shape[0] for layer in exported.model.layers}
    channels = facts.plan.channels
    assert widths == {channels.stored_width if channels else 192}
    if prune == "by layer":
        assert all(
            float(layer.mlp.up_proj.weight.detach()[width:].abs().sum()) == 0
            for layer, width in zip(exported.model.layers, channels.widths if channels else (), strict=True)
        )
