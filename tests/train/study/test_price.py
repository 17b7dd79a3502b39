"""What a study costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recipes.loader import Loaded
from recipes.study import StudyRecipe
from train.study.grid import cells_of
from train.study.price import NAME, Price, kept_prices, price_lines, prices

ARMS = {
    "full": {"title": "every parameter"},
    "own": {
        "title": "own traces",
        "keys": [
            "data.traces={source: generate, problems: {source: nano, name: own, family: chain, part: training, "
            "size: 9}, thinking_tokens: 8, answer_tokens: 4}"
        ],
    },
}


def cells(out: Path) -> list[Any]:
    keys = ["trainer.max_steps=2", "data.traces.size=20", "sweep.confirm=null"]
    fields = {"question": "Why?", "base": "full_recovery.yaml", "seeds": [1, 2], "arms": ARMS}
    arms = {"full": {**ARMS["full"], "keys": keys}, "own": ARMS["own"]}
    return cells_of(Loaded(StudyRecipe.model_validate({**fields, "arms": arms}), "s", Path("s.yaml"), ()), out)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Price]:
    out = tmp_path_factory.mktemp("study")
    return prices(cells(out), {"base_gb": 1.0}, "", out / "planned")


@pytest.mark.slow
def test_an_arm_is_estimated_once_for_all_its_runs(found: list[Price]) -> None:
    full = found[0]
    assert (full.arm, full.runs) == ("full", 2) and full.flops and full.tokens and full.peak_bytes


@pytest.mark.slow
def test_an_arm_without_an_estimate_says_why(found: list[Price]) -> None:
    assert found[1].flops is None and "give traces=N tokens=N" in found[1].note


def test_the_sum_is_over_all_runs() -> None:
    one = Price("a", 3, tokens=10.0, flops=2.0, sweep_flops=1.0, peak_bytes=1 << 30, hours=0.5)
    other = Price("b", 2, tokens=100.0, flops=20.0, sweep_flops=10.0, peak_bytes=1 << 31, hours=1.0)
    assert price_lines([one, other])[-1] == ["in all", "5", "230", "46", "23", "2.00", "3.50", ""]


def test_a_sum_without_some_arms_says_so() -> None:
    last = price_lines([Price("a", 3, flops=2.0), Price("b", 2, note="why")])[-1]
    assert last[3] == "6" and last[-2:] == ["-", "without 1 arms that have no estimate"]


def test_prices_that_are_kept_are_not_estimated_again(tmp_path: Path) -> None:
    kept = '[{"arm": "full", "runs": 2, "flops": 7.0}, {"arm": "own", "runs": 2, "note": "why"}]'
    (tmp_path / NAME).write_text(kept)
    assert kept_prices(cells(tmp_path), tmp_path)["full"].flops == 7.0
    assert (tmp_path / NAME).read_text() == kept
