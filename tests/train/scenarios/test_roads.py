"""The whole road of twelve families: cut, references, LoRA, a sweep, and an export that its gate lets through.

Random weights of the embedded tokenizer's size; what is learned does not matter here.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from data_prep.nano_world import build_tokenizer
from prune.inspect import faults_of
from tests.prune.every_family import make
from tests.prune.models import LAYERS
from tests.train.runs import rows, run_here, small
from train.export import verify

DENSE = ("llama", "mistral", "qwen3_tied", "gemma2", "gemma3", "olmo2", "phi3")
WITH_EXPERTS = ("qwen3_moe", "gpt_oss", "deepseek_v3")
HYBRIDS = ("lfm2", "qwen3_5")
SHORT = (
    "zero.stage=0",
    "trainer.max_steps=2",
    "trainer.save_steps=2",
    "trainer.logging_steps=1",
    "trainer.gradient_checkpointing=false",
    "sweep.every_steps=2",
    "sweep.budgets=[4,8]",
    "sweep.suites.0.size=2",
    "sweep.suites.1.size=2",
    "sweep.suites.2.size=4",
    "data.traces.size=24",
    "adapter.targets=[q_proj,o_proj]",
    "prune={method: layers, remove: [2, 3]}",
)
OTHER_TARGETS = {"lfm2": "[q_proj,out_proj]", "phi3": "[qkv_proj,o_proj]", "deepseek_v3": "[q_b_proj,o_proj]"}


@pytest.mark.slow
@pytest.mark.parametrize("family", [*DENSE, *WITH_EXPERTS, *HYBRIDS])
def test_a_family_goes_the_whole_road(family: str, tmp_path: Path) -> None:
    tokenizer = build_tokenizer()
    sizes = {"vocab_size": len(tokenizer), "max_position_embeddings": 512, "initializer_range": 0.05}
    for part in (make(family, **sizes), tokenizer):
        part.save_pretrained(tmp_path / "unpruned")
    targets = [f"adapter.targets={OTHER_TARGETS[family]}"] if family in OTHER_TARGETS else []
    run = tmp_path / "run"
    assert run_here(small("lora", run, tmp_path, *SHORT, *targets, f"model.unpruned={tmp_path / 'unpruned'}")) == 0
    assert {row["model"] for row in rows(run / "sweeps.jsonl")} == {"unpruned", "pruned", "run"}
    assert "as exported" in verify(run / "export")
    assert faults_of(run / "export", tmp_path / "unpruned") == []
    model, report = AutoModelForCausalLM.from_pretrained(run / "export", dtype=torch.float32, output_loading_info=True)
    assert (model.config.num_hidden_layers, any(report.values())) == (LAYERS - 2, False)
    assert json.loads((run / "export" / "export_report.json").read_text())["merged_difference"] <= 1e-3
