"""What the tests share that cut a model on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from data_prep.nano_world import build_tokenizer
from tests.prune.models import IDLE, SHAPE


@pytest.fixture(scope="session")
def unpruned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small model of the embedded world, whose layer IDLE adds nothing."""
    folder, tokenizer = tmp_path_factory.mktemp("unpruned"), build_tokenizer()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        sizes = {**SHAPE, "vocab_size": len(tokenizer), "max_position_embeddings": 512}
        model = Qwen3ForCausalLM(Qwen3Config(**sizes))
    torch.nn.init.zeros_(model.model.layers[IDLE].self_attn.o_proj.weight)
    torch.nn.init.zeros_(model.model.layers[IDLE].mlp.down_proj.weight)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
