"""What of a recipe may be published."""

from __future__ import annotations

from pathlib import Path

import pytest

from train.published import LOCAL, hub_id, publishable


@pytest.mark.parametrize("name", ["Qwen/Qwen3-8B", "some-one/a.model_1"])
def test_an_id_of_the_hub_is_one(name: str) -> None:
    assert hub_id(name) == name


@pytest.mark.parametrize("name", [None, "/data/model", "./model", "~/model", "data_prep/nano_model", "a/b/c", "model"])
def test_a_folder_is_no_id(name: str | None) -> None:
    assert hub_id(name) is None


def test_paths_and_addresses_are_left_out(tmp_path: Path) -> None:
    recipe = {
        "model": {"unpruned": "Qwen/Qwen3-8B", "pruned": str(tmp_path)},
        "run": {"dir": "runs/mine", "cache_dir": "cache", "resume": "runs/mine/checkpoint-4"},
        "data": {"traces": {"parts": [{"traces": {"path": "rows.jsonl"}}]}},
        "sweep": {"engine": {"url": "http://10.0.0.1/v1", "python": "env/bin/python"}},
        "zero": {"config": "ds.json"},
        "trainer": {"other": "/data/somewhere/file"},
    }
    assert publishable(recipe) == {
        "model": {"unpruned": "Qwen/Qwen3-8B", "pruned": LOCAL},
        "run": {"dir": LOCAL, "cache_dir": LOCAL, "resume": LOCAL},
        "data": {"traces": {"parts": [{"traces": {"path": LOCAL}}]}},
        "sweep": {"engine": {"url": LOCAL, "python": LOCAL}},
        "zero": {"config": LOCAL},
        "trainer": {"other": LOCAL},
    }


def test_what_is_no_place_stays() -> None:
    recipe = {
        "seed": 1,
        "run": {"resume": "auto", "dir": None},
        "data": {
            "format": {"close": "\n</think>\n", "stop": "/end", "cue": "\\boxed{"},
            "traces": {"id": "some/traces"},
        },
        "trainer": {"optim": "adamw_torch", "betas": [0.9, 0.95]},
    }
    assert publishable(recipe) == recipe
