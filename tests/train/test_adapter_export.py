"""The adapter alone: it is the checkpoint's, it says whose it is, and on other weights it is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from peft import PeftModel
from transformers import AutoModelForCausalLM

from data_prep.fingerprint import fingerprint
from eval.adapters import check_fits
from eval.checkpoint import find_checkpoint
from recipes.errors import UserError
from tests.train.runs import MODEL
from train.export import main, verify

IDS = torch.arange(4, 20)[None]


@pytest.fixture(scope="module")
def adapter(lora: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("adapter") / "out"
    main([f"run={lora}", f"out={out}", "form=adapter"])
    return out


def test_it_is_the_checkpoints_own(adapter: Path, lora: Path) -> None:
    name = "adapter_model.safetensors"
    assert (adapter / name).read_bytes() == (lora / "checkpoint-8" / name).read_bytes()


def test_on_its_base_it_is_the_exported_model(adapter: Path, lora: Path) -> None:
    base = AutoModelForCausalLM.from_pretrained(lora / "pruned", dtype=torch.float32)
    whole = AutoModelForCausalLM.from_pretrained(lora / "export", dtype=torch.float32)
    with torch.inference_mode():
        ours, theirs = (m.eval()(input_ids=IDS).logits for m in (PeftModel.from_pretrained(base, adapter), whole))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


def test_it_has_the_fingerprint_of_its_base(adapter: Path, lora: Path) -> None:
    assert json.loads((adapter / "adapter_base.json").read_text())["fingerprint"] == fingerprint(str(lora / "pruned"))


def test_it_fits_its_base(adapter: Path, lora: Path) -> None:
    assert check_fits(adapter, str(lora / "pruned")) is None


def test_on_a_model_of_the_same_shape_it_is_refused(adapter: Path, lora: Path) -> None:
    with pytest.raises(UserError, match="belongs to the model with the fingerprint sha256"):
        check_fits(adapter, str(lora / "export"))


def test_its_base_is_named_where_it_is_read(adapter: Path, lora: Path) -> None:
    found = find_checkpoint(str(adapter), str(lora / "pruned"))
    assert (found.base, found.adapter) == (str(lora / "pruned"), str(adapter))


def test_no_path_of_this_machine_is_in_it(adapter: Path, lora: Path) -> None:
    texts = [path.read_text() for path in adapter.iterdir() if path.suffix in (".json", ".md", ".jinja")]
    assert [text for text in texts for place in (lora, MODEL) if str(place) in text] == []


def test_it_is_sealed(adapter: Path) -> None:
    assert "as exported" in verify(adapter)


def test_its_card_loads_it_on_its_base(adapter: Path) -> None:
    card = ModelCard.load(adapter / "README.md")
    assert card.data.library_name == "peft" and "PeftModel.from_pretrained(base, name)" in card.text
    assert "not merged" in card.text


def test_a_run_of_every_parameter_has_none(full: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="trained every parameter"):
        main([f"run={full}", f"out={tmp_path / 'out'}", "form=adapter"])


@pytest.mark.parametrize(
    ("words", "message"),
    [(["form=both"], "must be model or adapter"), (["form=adapter", "dtype=bfloat16"], "keeps")],
)
def test_what_an_adapter_cannot_be_is_refused(words: list[str], message: str, lora: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        main([f"run={lora}", f"out={tmp_path / 'out'}", *words])


def test_an_adapter_over_four_bits_stays_merged(lora: Path, tmp_path: Path) -> None:
    shutil.copytree(lora, tmp_path / "run")
    record = tmp_path / "run" / "run.json"
    facts = json.loads(record.read_text())
    facts["recipe"]["adapter"]["method"] = "qlora"
    record.write_text(json.dumps(facts))
    with pytest.raises(UserError, match="trained over 4-bit weights"):
        main([f"run={tmp_path / 'run'}", f"out={tmp_path / 'out'}", "form=adapter"])
