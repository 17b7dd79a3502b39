"""Packed rows: each trace is computed as if it were alone, on every family; what is counted; what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from data_prep.nano_build import FORMAT
from data_prep.nano_world import build_tokenizer
from data_prep.prepared import Prepared, prepare
from data_prep.prompts import think_format
from recipes.data import DataSection
from recipes.errors import UserError
from tests.prune.models import FAMILIES, build
from tests.train.runs import rows as read_rows
from train.rows import StackedRows, check_packable, examples, feed_of

NANO = build_tokenizer()
LENGTHS = [[9, 5, 3], [6, 7], [1, 2]]  # sliding windows of these models see 4 tokens


def packed_examples() -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    return [{"input_ids": (ids := rng.integers(4, 53, sum(lengths))), "labels": ids, "seq_lengths": lengths}
            for lengths in LENGTHS]


def alone(model: Any, example: dict[str, Any]) -> torch.Tensor:
    """Logits [tokens, vocabulary] of each trace of an example by itself, one after the other."""
    parts = np.split(example["input_ids"], np.cumsum(example["seq_lengths"])[:-1])
    return torch.cat([model(input_ids=torch.tensor(part)[None], use_cache=False).logits[0] for part in parts])


@torch.inference_mode()
@pytest.mark.parametrize(("family", "attention"), [
    (family, attention) for family in FAMILIES for attention in ("sdpa", "eager")
    if (family, attention) != ("gemma2", "sdpa")])  # transformers has no SDPA for it
def test_packed_logits_are_those_of_each_trace_alone(family: str, attention: str) -> None:
    model = build(family)
    model.set_attn_implementation(attention)
    check_packable(model)
    batch = StackedRows(0)(packed_examples())
    logits = model(input_ids=batch["input_ids"], position_ids=batch["position_ids"], use_cache=False).logits
    for row, example in zip(logits, packed_examples(), strict=True):
        expected = alone(model, example)
        assert torch.allclose(row[: len(expected)], expected, rtol=1e-5, atol=1e-5)


@torch.inference_mode()
def test_packed_logits_side_by_side_are_those_of_each_trace_alone() -> None:
    """The layout for FlashAttention, on SDPA."""
    model = build("qwen3")
    batch = DataCollatorForLanguageModeling(0, padding_free=True)(packed_examples())
    logits = model(input_ids=batch["input_ids"], position_ids=batch["position_ids"], use_cache=False).logits[0]
    expected = torch.cat([alone(model, example) for example in packed_examples()])
    assert torch.allclose(logits, expected, rtol=0, atol=1e-5)


@torch.inference_mode()
def test_that_comparison_sees_traces_that_see_each_other() -> None:
    model, example = build("qwen3"), packed_examples()[0]
    together = model(input_ids=torch.tensor(example["input_ids"])[None], use_cache=False).logits[0]
    assert float((together - alone(model, example)).abs().max()) > 1e-2


def test_a_stack_of_rows_by_hand() -> None:
    batch = StackedRows(0)([
        {"input_ids": np.array([5, 6, 7, 8, 9]), "labels": np.array([-100, 6, -100, 8, 9]), "seq_lengths": [2, 3]},
        {"input_ids": np.array([4, 4]), "labels": np.array([-100, 4]), "seq_lengths": [2]}])
    assert {key: value.tolist() for key, value in batch.items()} == {
        "input_ids": [[5, 6, 7, 8, 9], [4, 4, 0, 0, 0]], "labels": [[-100, 6, -100, 8, 9], [-100, 4, -100, -100, -100]],
        "position_ids": [[0, 1, 0, 1, 2], [0, 1, 0, 1, 2]], "real_tokens": 7}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    keys = {"traces": {"source": "nano", "size": 60}, "max_length_tokens": 256}
    section = DataSection.model_validate({**keys, "cache_dir": tmp_path_factory.mktemp("cache")})
    return prepare(section, NANO, think_format(FORMAT, NANO))


def test_packed_examples_hold_every_trace_once_whole_and_labelled(prepared: Prepared) -> None:
    found = []
    for example, pack in zip(examples(prepared.packed, prepared.rows), prepared.packed, strict=True):
        borders = np.cumsum(example["seq_lengths"])[:-1]
        ids, labels = (np.split(np.array(example[key]), borders) for key in ("input_ids", "labels"))
        found += [(row, i.tolist(), n.tolist()) for row, i, n in zip(pack, ids, labels, strict=True)]
    assert [each[1:] for each in sorted(found)] == [(row.input_ids, row.labels) for row in prepared.rows]


@pytest.mark.parametrize(("packing", "few"), [(False, False), (True, True)])
def test_a_recipe_packs_where_it_says_so(packing: bool, few: bool, prepared: Prepared) -> None:
    section = DataSection.model_validate({"traces": {"source": "nano", "size": 60}, "max_length_tokens": 256,
                                          "packing": packing})
    assert (feed_of(section, prepared).sequences < 60) == few


@pytest.mark.parametrize(("layers", "attention", "fault"), [
    (["linear_attention", "full_attention"], "sdpa", "layers of the kind linear_attention carry one trace into"),
    (None, "flex_attention", "with attention flex_attention traces of a row are not kept apart")])
def test_models_on_which_packing_is_not_exact_are_refused(layers: list[str] | None, attention: str, fault: str) -> None:
    model = build("qwen3")
    model.config.layer_types = layers
    model.config._attn_implementation_internal = attention
    with pytest.raises(UserError, match=fault):
        check_packable(model)


@pytest.mark.slow
def test_a_packed_run_counts_the_tokens_of_all_its_rows(here: Any) -> None:
    folder: Path = here("full", "data.packing=true", "data.traces.size=40", "trainer.per_device_train_batch_size=3",
                        "trainer.max_steps=-1", "trainer.num_train_epochs=1", "trainer.logging_steps=1",
                        "export.enabled=false")
    facts = json.loads((folder / "run.json").read_text())["data"]
    assert sum(row["tokens"] for row in read_rows(folder / "metrics.jsonl")) == facts["tokens"]
    assert len(read_rows(folder / "metrics.jsonl")) == -(-facts["packing"]["rows"] // 3)
