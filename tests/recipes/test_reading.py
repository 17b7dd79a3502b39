"""YAML 1.2 scalars read and written, and files that are refused with their line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from recipes.errors import UserError
from recipes.reading import parse_value, read_mapping, shown, write


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5e-4", 0.0005),
        ("5.0E-4", 0.0005),
        (".5", 0.5),
        ("0x1F", 31),
        ("1_000", 1000),
        ("007", "007"),
        ("no", "no"),
        ("12:30", "12:30"),
        ("true", True),
        ("~", None),
        ("", None),
        ("[1, a]", [1, "a"]),
        ("'1'", "1"),
    ],
)
def test_a_value_is_read_by_yaml_1_2(text: str, value: Any) -> None:
    assert parse_value(text) == value


@pytest.mark.parametrize("value", ["5e-4", "no", "12:30", "1", "~", "a\nb", "007", "", "true"])
def test_text_that_looks_like_something_else_is_written_so_that_it_stays_text(value: str, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(write({"key": value}))
    assert read_mapping(path) == {"key": value} == yaml.safe_load(path.read_text())


def test_an_empty_file_is_an_empty_mapping(tmp_path: Path) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text("# nothing yet\n")
    assert read_mapping(path) == {}


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "null"), (0.0005, "0.0005"), ([1, "a"], "[1, a]"), ("a\nb", "a\\nb"), ("abcdefg", "ab...")],
)
def test_a_value_is_shown_on_one_line(value: Any, text: str) -> None:
    assert shown(value, limit=60 if value != "abcdefg" else 5) == text


BROKEN = {
    "a: 1\nb: [\n": "{path}, line 3: while parsing a flow node, expected the node content, but found '<stream end>'",
    "seed: 1\nseed: 2\n": "{path}, line 2: the key seed is given twice",
    "seed: 1\nzero:\n  stage: 1\n  stage: 2\n": "{path}, line 4: the key stage is given twice",
    "- 1\n": "{path}, line 1: must hold `key: value` lines, got [1]",
    "just text\n": "{path}, line 1: must hold `key: value` lines, got just text",
    "seed: 1\n2: 3\n": "{path}, line 2: the key 2 must be text",
    "a: &a [*a]\n": "{path}, line 1: found unconstructable recursive node",
}


@pytest.mark.parametrize(("text", "message"), BROKEN.items())
def test_a_broken_file_is_refused_with_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_mapping(path)
    assert str(caught.value) == message.format(path=path)


def test_a_file_that_is_not_utf8_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"seed: 1\nname: \xe9\n")
    with pytest.raises(UserError, match=r"latin\.yaml, line 2: not UTF-8 text$"):
        read_mapping(path)
