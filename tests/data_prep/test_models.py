"""Loading checkpoints, and what is said where they cannot be loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import Qwen3Config

from data_prep.models import UNLIMITED_TOKENS, attention, context_tokens, load_config, load_model, load_tokenizer
from recipes.errors import UserError
from recipes.schema import ModelSection
from tests.eval.worlds import FOLDER, fresh_nano
from tests.runtime.hubs import hub_at, put_into_cache
from tests.runtime.servers import empty_hub, silent_server

SECTION = ModelSection(unpruned=FOLDER)


@pytest.mark.parametrize(("dtype", "expected"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_weights_come_in_the_dtype_of_the_recipe(dtype: str, expected: torch.dtype) -> None:
    section = ModelSection.model_validate({"unpruned": FOLDER, "dtype": dtype})
    assert {p.dtype for p in load_model(FOLDER, section).parameters()} == {expected}


def test_attention_is_as_asked() -> None:
    config = Qwen3Config()
    assert [attention(name, config) for name in ("eager", "flash_attention_2", "auto")] == [
        "eager",
        "flash_attention_2",
        None,
    ]


@pytest.mark.parametrize("load", [load_tokenizer, load_config, load_model])
def test_a_folder_without_a_checkpoint_is_named(load, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UserError, match=f"model: no .* at '{tmp_path}' "):
        load(str(tmp_path), SECTION)


def test_a_copy_in_the_cache_is_loaded_with_a_silent_hub(tmp_path: Path) -> None:
    put_into_cache(tmp_path, "owner/nano", Path(FOLDER))
    with silent_server() as address, hub_at(address, tmp_path):
        assert load_config("owner/nano", SECTION).model_type == "qwen3"
        assert load_tokenizer("owner/nano", SECTION).get_vocab() == load_tokenizer(FOLDER, SECTION).get_vocab()


def test_what_the_hub_does_not_have_is_told_of_a_similar_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with (
        empty_hub() as address,
        hub_at(address, tmp_path, seconds=5),
        pytest.raises(
            UserError, match=r"^model: no model at 'runs/mien' \(.*; did you mean runs/mine\?\); name a folder"
        ),
    ):
        load_config("runs/mien", SECTION)


def test_a_tokenizer_without_a_template_is_refused(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(FOLDER, SECTION)
    tokenizer.chat_template = None
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(UserError, match="has no chat template"):
        load_tokenizer(str(tmp_path), SECTION)


def test_pickled_weights_are_never_loaded(tmp_path: Path) -> None:
    model = fresh_nano()
    model.config.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"the weights at .* cannot be loaded"):
        load_model(str(tmp_path), SECTION)


def test_the_context_is_what_the_config_names() -> None:
    assert context_tokens(FOLDER, SECTION) == 512


def test_a_config_without_a_limit_has_none(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bloom"}')  # ALiBi: no table of positions
    assert context_tokens(str(tmp_path), SECTION) == UNLIMITED_TOKENS
