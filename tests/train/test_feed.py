"""Prepared rows as examples: every trace once, whole and labelled; a packed run counts what it reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from data_prep.commands.nano import FORMAT
from data_prep.nano_world import build_tokenizer
from data_prep.prepared.prepare import Prepared, prepare
from data_prep.tokens.prompts import think_format
from data_prep.tokens.tokenize import IGNORED
from recipes.data import DataSection
from tests.train.runs import rows as read_rows
from train.feed import examples, feed_of

NANO = build_tokenizer()
BATCH = ("input_ids", "labels", "attention_mask")


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


def test_a_stop_token_that_pads_too_is_taught_and_its_padding_is_not(prepared: Prepared) -> None:
    stop = prepared.rows[0].input_ids[-1]
    rows = [list(each) for each in ([0], [1], [2])]
    batch = DataCollatorForLanguageModeling(pad_token_id=stop)(list(examples(rows, prepared.rows)))
    longest = batch["input_ids"].shape[1]
    for row, ids, labels, mask in zip(prepared.rows, *(batch[k] for k in BATCH), strict=False):
        filling = longest - len(row.input_ids)
        assert ids.tolist() == row.input_ids + [stop] * filling
        assert labels.tolist() == row.labels + [IGNORED] * filling
        assert mask.tolist() == [1] * len(row.input_ids) + [0] * filling


@pytest.mark.parametrize(("packing", "few"), [(False, False), (True, True)])
def test_a_recipe_packs_where_it_says_so(packing: bool, few: bool, prepared: Prepared) -> None:
    section = DataSection.model_validate(
        {"traces": {"source": "nano", "size": 60}, "max_length_tokens": 256, "packing": packing}
    )
    assert (feed_of(section, prepared).sequences < 60) == few


@pytest.mark.slow
def test_a_packed_run_counts_the_tokens_of_all_its_rows(here: Any) -> None:
    folder: Path = here(
        "full",
        "data.packing=true",
        "data.traces.size=40",
        "trainer.per_device_train_batch_size=3",
        "trainer.max_steps=-1",
        "trainer.num_train_epochs=1",
        "trainer.logging_steps=1",
        "export.enabled=false",
    )
    facts = json.loads((folder / "run.json").read_text())["data"]
    assert sum(row["tokens"] for row in read_rows(folder / "metrics.jsonl")) == facts["tokens"]
    assert len(read_rows(folder / "metrics.jsonl")) == -(-facts["packing"]["rows"] // 3)
