"""Plain text to measure on: what a file may hold, and what is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase

from data_prep.nano_world import build_tokenizer
from prune.texts import read_texts, text_sequences
from recipes.errors import UserError
from recipes.prune import TextCalibration


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return build_tokenizer()


def section(path: Path, **keys: int) -> TextCalibration:
    return TextCalibration(source="text", path=path, **keys)


def file_of(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_rows_of_json_lines_are_read_in_order(tmp_path: Path) -> None:
    path = file_of(tmp_path, "t.jsonl", '{"text": "one"}\n\n{"text": "two", "id": 7}\n{"text": "three"}\n')
    assert read_texts(section(path), 2) == ["one", "two"]


def test_paragraphs_of_a_text_file_are_read_in_order(tmp_path: Path) -> None:
    path = file_of(tmp_path, "t.txt", "\n first line\nsecond line\n\n \n\nanother\n")
    assert read_texts(section(path), 9) == ["first line\nsecond line", "another"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{text: 1}", "line 2: not JSON"),
        ("[1]", "line 2: needs a `text` that is not empty, found list"),
        ('{"content": "x"}', "line 2: needs a `text` that is not empty, found the keys content"),
        ('{"text": " "}', "line 2: needs a `text` that is not empty, found the keys text"),
        ('{"text": 3}', "line 2: needs a `text` that is not empty"),
    ],
)
def test_a_line_that_is_not_a_text_is_named(line: str, said: str, tmp_path: Path) -> None:
    path = file_of(tmp_path, "t.jsonl", f'{{"text": "one"}}\n{line}\n')
    with pytest.raises(UserError) as refusal:
        read_texts(section(path), 9)
    assert str(refusal.value).startswith(f"prune.calibration.path={path}, {said}")


@pytest.mark.parametrize(
    ("name", "said"),
    [("t.md", "must end in .jsonl .* or .txt"), ("gone.txt", "no such file"), ("empty.txt", "holds no text")],
)
def test_a_file_that_cannot_serve_is_refused(name: str, said: str, tmp_path: Path) -> None:
    file_of(tmp_path, "t.md", "text"), file_of(tmp_path, "empty.txt", "\n\n")
    with pytest.raises(UserError, match=said):
        read_texts(section(tmp_path / name), 9)


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes(b"caf\xe9")
    with pytest.raises(UserError, match="cannot be read as UTF-8 text"):
        read_texts(section(tmp_path / "t.txt"), 9)


def test_every_token_is_labelled_and_what_was_shortened_is_counted(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    path = file_of(tmp_path, "t.txt", "start 2 #1 +3\n\nstart 2\n\n5\n")
    sequences = text_sequences(section(path, max_tokens=3), 9, tokenizer)
    whole = [tokenizer(text)["input_ids"] for text in ("start 2 #1 +3", "start 2")]
    assert len(whole[0]) > 3
    assert [row.input_ids for row in sequences.rows] == [whole[0][:3], whole[1][:3]]
    assert all(row.labels == row.input_ids for row in sequences.rows)
    shortened = sum(len(ids) > 3 for ids in whole)
    assert sequences.facts == {"texts_shortened": shortened, "texts_too_short": 1}


def test_texts_of_one_token_alone_are_refused(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="each of its 2 texts has one token"):
        text_sequences(section(file_of(tmp_path, "t.txt", "5\n\n5\n")), 9, tokenizer)
