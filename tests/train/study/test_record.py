"""What was expected is written down once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from recipes.errors import UserError
from recipes.loader import Loaded
from recipes.study import StudyRecipe
from train.study.record import check_record, expectation_hash, read_record, write_record

CLAIM = {"kind": "back", "arm": "a", "number": "level", "expected": "above"}


def loaded(**more: Any) -> Loaded[StudyRecipe]:
    fields: dict[str, Any] = {
        "question": "Why?",
        "base": "full_recovery.yaml",
        "arms": {"a": {"title": "a"}, "b": {"title": "b"}},
        "claims": {"it": CLAIM},
    }
    return Loaded(StudyRecipe.model_validate({**fields, **more}), "study", Path("study.yaml"), ("recipe=study.yaml",))


def test_the_first_start_writes_the_expectation_and_later_ones_keep_it(tmp_path: Path) -> None:
    write_record(loaded(), tmp_path)
    first = read_record(tmp_path)
    write_record(loaded(seeds=[1, 2, 3, 4]), tmp_path)
    later = read_record(tmp_path)
    assert later["expected"] == first["expected"] and len(later["starts"]) == 2
    assert later["recipe"]["seeds"] == [1, 2, 3, 4]


def test_the_hash_is_that_of_what_stands_in_the_record(tmp_path: Path) -> None:
    import hashlib

    write_record(loaded(), tmp_path)
    kept = dict(read_record(tmp_path)["expected"])
    said, _ = kept.pop("sha256"), kept.pop("written")
    assert said == hashlib.sha256(json.dumps(kept, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


@pytest.mark.parametrize(
    "more",
    [
        {"claims": {"it": {**CLAIM, "expected": "below"}}},
        {"claims": {}},
        {"arms": {"a": {"title": "a", "keys": ["prune.layers=1"]}, "b": {"title": "b"}}},
        {"shared": ["prune.layers=1"]},
    ],
)
def test_an_expectation_that_was_changed_afterwards_is_refused(more: dict[str, Any], tmp_path: Path) -> None:
    write_record(loaded(), tmp_path)
    with pytest.raises(UserError, match="were changed after this study began"):
        check_record(loaded(**more), tmp_path)


def test_other_arms_and_seeds_may_join(tmp_path: Path) -> None:
    write_record(loaded(), tmp_path)
    more = loaded(seeds=[1, 2, 3, 4], arms={"a": {"title": "a"}, "b": {"title": "b"}, "c": {"title": "c"}})
    check_record(more, tmp_path)
    assert expectation_hash(more.recipe) == expectation_hash(loaded().recipe)


def test_a_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("all of it")
    with pytest.raises(UserError, match="contains something else"):
        check_record(loaded(), tmp_path)


def test_a_damaged_record_is_refused(tmp_path: Path) -> None:
    (tmp_path / "study.json").write_text("{")
    with pytest.raises(UserError, match="damaged"):
        check_record(loaded(), tmp_path)


def test_a_new_folder_is_taken(tmp_path: Path) -> None:
    check_record(loaded(), tmp_path / "new")
