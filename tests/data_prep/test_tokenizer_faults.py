"""Tokenizers, templates and stop tokens by themselves; tests/prune/scenarios/test_odd_folders.py spoils folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_prep.contradictions import EMBEDDING
from data_prep.nano_world import build_tokenizer
from data_prep.tokenizer_faults import own_tokenizer, stop_faults, stops_of, template_faults, vocabulary_faults
from data_prep.weight_files import Tensor


def rows(count: int) -> dict[str, Tensor]:
    return {EMBEDDING: Tensor("model.safetensors", (count, 8), "F32")}


def test_a_tokenizer_whose_code_would_have_to_run_is_left_alone(tmp_path: Path) -> None:
    build_tokenizer().save_pretrained(tmp_path)
    held = json.loads((tmp_path / "tokenizer_config.json").read_text())
    held["auto_map"] = {"AutoTokenizer": ["theirs.Theirs", None]}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(held))
    assert own_tokenizer(tmp_path) is None


def test_a_vocabulary_with_a_row_for_each_token_is_sound(tmp_path: Path) -> None:
    tokenizer = build_tokenizer()
    assert [len(list(vocabulary_faults(tmp_path, rows(len(tokenizer) - n), tokenizer))) for n in (0, 1)] == [0, 1]


def test_no_template_is_no_broken_one(tmp_path: Path) -> None:
    tokenizer = build_tokenizer()
    tokenizer.chat_template = None
    assert list(template_faults(tmp_path, tokenizer)) == []


def test_a_template_of_several_without_a_default_is_broken(tmp_path: Path) -> None:
    tokenizer = build_tokenizer()
    tokenizer.chat_template = {"one": "{{ messages }}", "two": "{{ messages }}"}
    assert len(list(template_faults(tmp_path, tokenizer))) == 1


@pytest.mark.parametrize(
    ("generation", "config", "stops"),
    [
        ({"eos_token_id": [7, 3]}, {"eos_token_id": 5}, [7, 3]),
        ({}, {"eos_token_id": 5}, [5]),
        (None, {"eos_token_id": 0}, [0]),
        (None, {}, []),
    ],
)
def test_the_generation_config_says_where_to_stop(
    generation: dict[str, object] | None, config: dict[str, object], stops: list[int], tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    if generation is not None:
        (tmp_path / "generation_config.json").write_text(json.dumps(generation))
    assert stops_of(tmp_path) == stops


@pytest.mark.parametrize(
    ("held", "faults"),
    [
        ({"eos_token_id": 9, "pad_token_id": 9}, 0),
        ({"eos_token_id": None, "pad_token_id": -1}, 0),  # -1 stood for "none" in the configs of the first Llamas
        ({"eos_token_id": -1}, 1),
        ({"eos_token_id": [3, 10]}, 1),
        ({"eos_token_id": 10, "pad_token_id": 11}, 2),
    ],
)
def test_a_stop_token_must_have_a_row(held: dict[str, object], faults: int, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(held))
    assert len(list(stop_faults(tmp_path, rows(10)))) == faults
