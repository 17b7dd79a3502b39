"""The text of `--help`, made from the schema."""

from __future__ import annotations

import pytest
from pydantic import Field

from recipes.help import HelpAsked, help_text, keys_text
from recipes.loader import load_recipe
from recipes.schema import Recipe
from recipes.section import Section


def test_a_key_has_type_default_and_meaning() -> None:
    assert "adapter (method=lora|dora|qlora).r: int >= 1, default 16. rank\n" in help_text(Recipe)


@pytest.mark.parametrize("word", ["--help", "-h", "help"])
def test_help_may_be_asked_for_in_three_ways(word: str) -> None:
    with pytest.raises(HelpAsked, match="^usage: recipe=FILE"):
        load_recipe([word])


def test_a_section_is_shown_alone_where_it_is_named() -> None:
    with pytest.raises(HelpAsked) as asked:
        load_recipe(["--help", "adapter"])
    lines = str(asked.value).splitlines()
    assert lines and all(line.startswith("adapter") for line in lines)


def test_the_free_trainer_fields_are_listed_alone() -> None:
    text = help_text(Recipe)
    assert "learning_rate (float)" in text and "output_dir" not in text


def test_the_sources_inside_a_mixture_are_listed() -> None:
    assert "parts.N.traces.source: nano | ways | jsonl | file | hub, required" in help_text(Recipe)


class Small(Section):
    name: str = Field(description="what it is called")
    share: float = Field(default=0.5, gt=0, le=1, description="a share")
    note: str | None = None


def test_the_lines_of_a_section() -> None:
    assert keys_text(Small).splitlines() == [
        "name: text, required. what it is called",
        "share: float > 0 and <= 1, default 0.5. a share",
        "note: text or null, default null",
    ]
