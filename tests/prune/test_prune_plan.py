"""The plan: what it refuses, and that it survives a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from prune.plan import PrunePlan, from_json, load, save, to_json
from recipes.errors import UserError

PLAN = PrunePlan(
    method="shortgpt",
    layers=4,
    removed=(1, 2),
    scores=(0.5, 0.1, 0.1, 1 / 3),
    unpruned="some/model",
    source="sha256:00",
    details={"request": {"prune": {"layers": 2}}, "calibration_tokens": 7},
)


def test_kept_layers_are_the_others_in_order() -> None:
    assert PLAN.kept == (0, 3)


def test_removed_layers_are_sorted() -> None:
    assert PrunePlan(method="layers", layers=4, removed=(3, 0)).removed == (0, 3)


def test_plan_survives_json() -> None:
    assert from_json(to_json(PLAN)) == PLAN


def test_plan_survives_a_folder(tmp_path: Path) -> None:
    save(PLAN, tmp_path)
    assert load(tmp_path) == PLAN


@pytest.mark.parametrize(
    ("removed", "scores", "message"),
    [
        ((4,), (), "layers 0 to 3"),
        ((-1,), (), "layers 0 to 3"),
        ((1, 1), (), "twice"),
        ((), (), "nothing"),
        ((0, 1, 2, 3), (), "keep at least one"),
        ((1,), (0.5,), "4 finite numbers"),
        ((1,), (0.5, 0.5, 0.5, float("nan")), "4 finite numbers"),
    ],
)
def test_impossible_plan_is_refused(removed: tuple[int, ...], scores: tuple[float, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        PrunePlan(method="layers", layers=4, removed=removed, scores=scores)


def test_missing_plan_names_file_and_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="prune_plan.json.*python -m prune"):
        load(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"kept": [0], "surprise": 1, "removed": [], "scores": []}'])
def test_damaged_plan_names_the_file(text: str, tmp_path: Path) -> None:
    (tmp_path / "prune_plan.json").write_text(text)
    with pytest.raises(UserError, match="prune_plan.json: not a prune plan"):
        load(tmp_path)


def test_plan_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(UserError, match=r"removes \[1, 2\] of 4 layers but says that it keeps \[0, 1\]"):
        from_json(to_json(PLAN).replace("0,\n    3", "0,\n    1"))
