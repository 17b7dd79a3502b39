"""The short training of a cut: what it runs, and that it is done once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recipes.errors import UserError
from recipes.loader import load, load_recipe, to_yaml
from recipes.schema import Recipe
from tests.train.runs import SMALL
from train.cuts import trained
from train.cuts.trained import read, short_recipe, train_shortly

NOT_NEEDED = ("keep_best=sweep/chain/gain", "export.checkpoint=best", "sweep.confirm={problems: 20}")


def recipe(*arguments: str) -> Recipe:
    found: Recipe = load(["recipe=full_recovery.yaml", *arguments])
    return found


def test_the_recipe_is_the_users_own_with_few_steps_on_a_ready_model(tmp_path: Path) -> None:
    own = recipe(*NOT_NEEDED)
    short = short_recipe(own, tmp_path / "pruned", 7, tmp_path / "run")
    assert (short.model.pruned, short.prune, short.trainer["max_steps"]) == (str(tmp_path / "pruned"), None, 7)
    assert (short.sweep.every_steps, short.sweep.suites, short.data) == (7, own.sweep.suites, own.data)
    assert (short.sweep.confirm, short.keep_best, short.export.enabled) == (None, None, False)


def test_the_short_recipe_survives_its_file(tmp_path: Path) -> None:
    short = short_recipe(recipe(*NOT_NEEDED), tmp_path / "pruned", 7, tmp_path / "run")
    (tmp_path / "r.yaml").write_text(to_yaml(short))
    assert load_recipe([f"recipe={tmp_path / 'r.yaml'}"]).recipe == short


def test_a_training_that_stopped_before_its_sweep_is_not_there(tmp_path: Path) -> None:
    row = {"step": 0, "model": "run", "suite": "chain", "budget": None}
    (tmp_path / "sweeps.jsonl").write_text(json.dumps(row) + "\n")
    assert read(tmp_path, 7, "chain") is None


@pytest.mark.slow
def test_a_cut_is_trained_and_read_again(tmp_path: Path) -> None:
    own = recipe(*SMALL, "zero.stage=0", f"data.cache_dir={tmp_path / 'data'}")
    done = train_shortly(own, Path("data_prep/nano_model"), 2, tmp_path / "run")
    assert (done.steps, done.tokens > 0, done.seconds > 0) == (2, True, True)
    written = (tmp_path / "run" / "sweeps.jsonl").stat().st_mtime_ns
    assert train_shortly(own, Path("data_prep/nano_model"), 2, tmp_path / "run") == done
    assert (tmp_path / "run" / "sweeps.jsonl").stat().st_mtime_ns == written


def test_a_training_that_fails_says_where_its_log_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ends.py").write_text("print('first'); print('no memory'); raise SystemExit(3)")
    monkeypatch.setattr(trained, "SCRIPT", tmp_path / "ends.py")
    with pytest.raises(UserError, match=r"train_steps=2: the training of .*pruned failed; .*run.log: first no memory"):
        train_shortly(recipe(), tmp_path / "pruned", 2, tmp_path / "run")
