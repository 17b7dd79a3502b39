"""Folders that are no sound models, made from the embedded one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from recipes.paths import ROOT

MODEL = ROOT / "data_prep" / "nano_model"
TEXTS = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def without_weights(folder: Path) -> Path:
    """Config and tokenizer alone."""
    folder.mkdir()
    for name in TEXTS:
        shutil.copy(MODEL / name, folder)
    return folder


def without_think_tokens(folder: Path) -> Path:
    """A model whose tokenizer has never heard of `<think>`."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    shutil.copytree(MODEL, folder)
    words = ["<pad>", "<unk>", "<bos>", "<eos>", "calc", "start"]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        unk_token="<unk>",
        bos_token="<bos>",
        eos_token="<eos>",
        chat_template=(MODEL / "chat_template.jinja").read_text(),
    )
    fast.save_pretrained(folder)
    return folder


def with_a_lying_config(folder: Path) -> Path:
    """Eight layers of weights under a config that speaks of six."""
    shutil.copytree(MODEL, folder)
    config = json.loads((folder / "config.json").read_text())
    config["num_hidden_layers"] = 6
    config["layer_types"] = config["layer_types"][:6]
    (folder / "config.json").write_text(json.dumps(config))
    return folder
