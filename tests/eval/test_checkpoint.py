"""What a user may name as a checkpoint: a whole model, or an adapter's folder that names its model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import peft
import pytest
import torch
from peft import PeftModel
from transformers import PreTrainedModel

from eval.checkpoint import Checkpoint, checkpoint_tokenizer, checkpoint_weights, find_checkpoint
from eval.types import Weights
from recipes.engines import HFEngine, VllmEngine
from recipes.errors import UserError
from recipes.schema import ModelSection
from tests.eval.worlds import FOLDER, SECTION, fresh_nano, nano_tokenizer

IDS = torch.tensor([[2, 20, 30, 40]])


@pytest.fixture(scope="module")
def trained() -> PeftModel:
    """An adapter that changes what the model says."""
    torch.manual_seed(0)
    section = peft.LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    adapter = peft.get_peft_model(fresh_nano(), section)
    adapter.peft_config["default"].base_model_name_or_path = FOLDER
    return adapter


@pytest.fixture
def folder(trained: PeftModel, tmp_path: Path) -> Path:
    trained.save_pretrained(tmp_path)
    return tmp_path


@torch.no_grad()
def logits(model: PreTrainedModel | PeftModel) -> torch.Tensor:
    return model(IDS).logits


def test_a_whole_model_is_itself() -> None:
    assert find_checkpoint(FOLDER) == Checkpoint(FOLDER)
    assert find_checkpoint("owner/name") == Checkpoint("owner/name")


def test_an_adapter_stands_on_the_model_that_it_names(folder: Path) -> None:
    assert find_checkpoint(str(folder)) == Checkpoint(FOLDER, str(folder))


def test_a_merged_model_with_an_adapters_config_beside_it_is_whole(folder: Path) -> None:
    shutil.copy(Path(FOLDER) / "config.json", folder)
    assert find_checkpoint(str(folder)) == Checkpoint(str(folder))


def test_an_adapter_without_a_model_is_refused(folder: Path) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "base_model_name_or_path": None}))
    with pytest.raises(UserError, match=r"does not name the model.*add base=DIR"):
        find_checkpoint(str(folder))


def test_an_adapter_whose_model_is_gone_is_refused_by_its_name(folder: Path) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "base_model_name_or_path": "/nowhere/base"}))
    with pytest.raises(UserError, match="/nowhere/base"):
        checkpoint_weights(find_checkpoint(str(folder)), SECTION, HFEngine())


def test_the_engine_in_process_gets_the_merged_weights(folder: Path, trained: PeftModel) -> None:
    model = checkpoint_weights(find_checkpoint(str(folder)), SECTION, HFEngine()).model
    assert model is not None
    torch.testing.assert_close(logits(model.cpu()), logits(trained), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(logits(fresh_nano()), logits(trained), atol=1e-2)


def test_an_adapter_is_cast_after_the_merge(folder: Path) -> None:
    section = ModelSection(unpruned=FOLDER, dtype="bfloat16")
    exact = checkpoint_weights(find_checkpoint(str(folder)), SECTION, HFEngine()).model
    cast = checkpoint_weights(find_checkpoint(str(folder)), section, HFEngine()).model
    assert exact is not None and cast is not None
    assert all(torch.equal(b, a.bfloat16()) for a, b in zip(exact.parameters(), cast.parameters(), strict=True))


def test_an_engine_of_its_own_loads_what_it_is_told(folder: Path) -> None:
    section = ModelSection(unpruned=FOLDER, dtype="bfloat16", trust_remote_code=True)
    assert checkpoint_weights(Checkpoint(FOLDER, str(folder)), section, VllmEngine(name="vllm")) == Weights(
        model=None, folder=FOLDER, adapter=str(folder), dtype="bfloat16", trust_remote_code=True
    )


def test_an_adapters_own_tokenizer_comes_first(folder: Path) -> None:
    checkpoint = find_checkpoint(str(folder))
    assert len(checkpoint_tokenizer(checkpoint, SECTION)) == len(nano_tokenizer())
    own = nano_tokenizer().__class__.from_pretrained(FOLDER)
    own.add_tokens(["<new>"])
    own.save_pretrained(folder)
    assert len(checkpoint_tokenizer(checkpoint, SECTION)) == len(nano_tokenizer()) + 1
