"""The schema that editors read is that of the code, and takes the shipped recipes."""

from __future__ import annotations

import json

import pytest
import yaml

from recipes.json_schema import main, text
from recipes.paths import SHIPPED, shipped_recipes


def test_the_file_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    printed = capsys.readouterr().out
    assert printed == text() == (SHIPPED / "recipe.schema.json").read_text(encoding="utf-8"), (
        "python -m recipes.json_schema > recipes/recipe.schema.json"
    )


def test_every_key_of_the_shipped_recipes_is_known_and_described() -> None:
    known = json.loads(text())["properties"]
    for name in shipped_recipes():
        if not name.startswith(("nano_world", "ways_world", "study")):
            assert set(yaml.safe_load((SHIPPED / name).read_text())) <= set(known), name


def test_nothing_is_required_since_a_recipe_may_extend_another() -> None:
    assert '"required"' not in text()


def test_a_section_lists_its_keys_with_their_meaning() -> None:
    section = json.loads(text())["$defs"]["ExportSection"]
    assert section["additionalProperties"] is False
    assert section["properties"]["tolerance"]["description"].startswith("largest logit difference that is accepted")
