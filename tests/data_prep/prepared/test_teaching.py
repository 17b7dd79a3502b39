"""Stored distributions are those of the run's traces and of its teacher, or they are refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from data_prep.commands.nano import FORMAT
from data_prep.nano_world import build_tokenizer
from data_prep.prepared.prepare import Prepared, prepare
from data_prep.prepared.teaching import FACTS, IDS, LOGPROBS, open_teaching
from data_prep.tokens.prompts import think_format
from recipes.data import DataSection
from recipes.errors import UserError
from runtime.seal import seal

NANO = build_tokenizer()
EXPECTED = {"teacher": "sha256:1", "temperature": 1.0}


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    keys = {"traces": {"source": "nano", "size": 5}, "max_length_tokens": 256, "cache_dir": tmp_path / "data"}
    return prepare(DataSection.model_validate(keys), NANO, think_format(FORMAT, NANO))


@pytest.fixture
def folder(prepared: Prepared, tmp_path: Path) -> Path:
    made = tmp_path / "taught"
    made.mkdir()
    labelled = prepared.labelled_tokens
    np.save(made / IDS, np.arange(labelled * 2, dtype=np.int32).reshape(labelled, 2))
    np.save(made / LOGPROBS, np.zeros((labelled, 3), np.float16))
    (made / FACTS).write_text(json.dumps({**EXPECTED, "data": prepared.hash, "k": 2}))
    seal(made)
    return made


def test_a_row_has_the_entries_of_its_labels(folder: Path, prepared: Prepared) -> None:
    teaching = open_teaching(folder, prepared, EXPECTED)
    first = len(teaching.ids.of_row(0))
    assert teaching.ids.of_row(1)[0].tolist() == [2 * first, 2 * first + 1]
    assert teaching.logprobs.of_row(1).shape == (len(teaching.ids.of_row(1)), 3)


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ({"teacher": "sha256:2"}, r"made with another teacher \(sha256:1, this run's is sha256:2\); make it again"),
        ({"temperature": 2.0}, r"made with another temperature \(1.0, this run's is 2.0\)"),
    ],
)
def test_another_teacher_or_temperature_is_refused(
    expected: dict[str, object], said: str, folder: Path, prepared: Prepared
) -> None:
    with pytest.raises(UserError, match=said):
        open_teaching(folder, prepared, {**EXPECTED, **expected})


def test_other_traces_are_refused(folder: Path, tmp_path: Path) -> None:
    keys = {"traces": {"source": "nano", "size": 6}, "max_length_tokens": 256, "cache_dir": tmp_path / "data"}
    others = prepare(DataSection.model_validate(keys), NANO, think_format(FORMAT, NANO))
    with pytest.raises(UserError, match="made with other traces, lengths or another template"):
        open_teaching(folder, others, EXPECTED)


def test_a_damaged_folder_is_refused(folder: Path, prepared: Prepared) -> None:
    whole = (folder / IDS).read_bytes()
    (folder / IDS).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(UserError, match=rf"loss.teacher.logits=.*{IDS}.*make it again"):
        open_teaching(folder, prepared, EXPECTED)


def test_a_folder_that_is_not_there_is_named(prepared: Prepared, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"loss.teacher.logits=.*nowhere: it does not exist"):
        open_teaching(tmp_path / "nowhere", prepared, EXPECTED)
