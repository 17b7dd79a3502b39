"""The key `unpack_limit`: wherever a recipe names a file of rows, with one default."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from recipes.suites import JsonlSuite, NamedSuite
from recipes.traces import FileTraces, JsonlTraces
from recipes.unpack_limit import UNPACK_LIMIT

SECTIONS = [
    FileTraces(source="file", path=Path("a")),
    JsonlTraces(source="jsonl", path=Path("a")),
    JsonlSuite(source="jsonl", name="s", path=Path("a")),
    NamedSuite(source="named", name="math500"),
]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: type(section).__name__)
def test_each_section_with_a_file_has_it(section: FileTraces) -> None:
    assert section.unpack_limit == UNPACK_LIMIT
    assert section.changed(unpack_limit=1).unpack_limit == 1


@pytest.mark.parametrize("value", [0, -1, "many"])
def test_less_than_once_its_size_is_refused(value: object) -> None:
    with pytest.raises(ValidationError, match="unpack_limit"):
        SECTIONS[0].changed(unpack_limit=value)
