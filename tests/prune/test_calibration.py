"""The traces that a method measures on are those of the recipe before any are selected by score."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_prep.models import load_tokenizer
from data_prep.nano_world import nano_traces
from data_prep.prepared.prepare import Prepared, prepare, quiet
from data_prep.problem import Suite
from data_prep.suites.load import load_suite
from data_prep.tokens.prompts import think_format
from data_prep.tokens.tokenize import IGNORED, Row
from prune.calibration import calibration_batches, calibration_set
from recipes.data import DataSection, FormatSection
from recipes.quality import SelectSection
from recipes.schema import ModelSection
from recipes.suites import JsonlSuite
from recipes.traces import NanoTraces


@pytest.fixture
def data(tmp_path: Path) -> DataSection:
    """Five traces."""
    return DataSection(
        traces=NanoTraces(source="nano", size=5, shares={"knowledge": 1.0}),
        max_length_tokens=512,
        format=FormatSection(open="<think>", close="</think> ", cue="answer", wait="#1"),
        cache_dir=tmp_path / "data",
    )


def calibration(data: DataSection, unpruned: Path, *suites: Suite) -> Prepared:
    tokenizer = load_tokenizer(str(unpruned), ModelSection(unpruned=str(unpruned)))
    return calibration_set(data, tokenizer, think_format(data.format, tokenizer), quiet, suites)


def test_scores_to_select_by_may_come_later(data: DataSection, unpruned: Path) -> None:
    later = data.changed(select=SelectSection(scores=Path("not/there/yet.jsonl"), count=1))
    assert len(calibration(later, unpruned).rows) == 5


def test_a_recipe_that_selects_nothing_trains_on_the_same_set(data: DataSection, unpruned: Path) -> None:
    tokenizer = load_tokenizer(str(unpruned), ModelSection(unpruned=str(unpruned)))
    trained_on = prepare(data, tokenizer, think_format(data.format, tokenizer))
    assert calibration(data, unpruned).folder == trained_on.folder


def test_the_traces_are_clear_of_the_suites(data: DataSection, unpruned: Path, tmp_path: Path) -> None:
    questions = [trace.question for trace in nano_traces({"knowledge": 1.0}, 5, 1)]
    (tmp_path / "s.jsonl").write_text(json.dumps({"problem": questions[0], "answer": "v1"}) + "\n")
    suite = load_suite(JsonlSuite(source="jsonl", name="s", path=tmp_path / "s.jsonl"))
    assert len(calibration(data, unpruned, suite).rows) == 5 - questions.count(questions[0]) < 5


def test_the_first_rows_are_batched_longest_first() -> None:
    rows = [Row(str(n), [n] * n, [n] * n) for n in (2, 4, 1, 3, 9)]
    batches = calibration_batches(rows, count=4, batch_size=3, pad_id=0)
    assert [batch["input_ids"].tolist() for batch in batches] == [[[4, 4, 4, 4], [3, 3, 3, 0], [2, 2, 0, 0]], [[1]]]


def test_more_rows_than_there_are_give_what_there_is() -> None:
    assert len(calibration_batches([Row("1", [1], [1])], count=99, batch_size=8, pad_id=0)) == 1


def test_labels_are_padded_with_what_is_not_learned() -> None:
    rows = [Row("a", [5, 6, 7], [IGNORED, 6, 7]), Row("b", [8, 9], [IGNORED, 9])]
    (batch,) = calibration_batches(rows, count=2, batch_size=2, pad_id=0)
    assert batch["labels"].tolist() == [[IGNORED, 6, 7], [IGNORED, 9, IGNORED]]
