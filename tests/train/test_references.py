"""Reference sweeps are kept by what they depend on: weights, dtype, protocol."""

from __future__ import annotations

import gc
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import save_file

from eval.checkpoint import checkpoint_weights
from eval.samples import read_sweep
from recipes.loader import load_recipe
from runtime.ranks import ALONE
from runtime.seal import file_fault, sealing
from tests.train.runs import MODEL, rows, run_here, small, weights
from train import references
from train.inputs import read_inputs

QUICK = ("trainer.max_steps=1", "export.enabled=false", "zero.stage=0", "sweep.every_steps=1000")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of its own, filled by one run."""
    folder = tmp_path_factory.mktemp("kept")
    run_here(small("full", folder / "run", folder / "cache", *QUICK))
    return folder / "cache"


def reference(folder: Path, suite: str) -> list[float]:
    return [
        row["accuracy"]
        for row in rows(folder / "sweeps.jsonl")
        if (row["model"], row["suite"]) == ("unpruned", suite) and row["budget"] is not None
    ]


def change_grades(path: Path) -> str:
    return path.read_text().replace('"correct": true', '"correct": false')  # unlike any new sweep


@pytest.mark.slow
def test_a_second_run_reads_the_first_ones_sweep(kept: Path, tmp_path: Path) -> None:
    cache = shutil.copytree(kept, tmp_path / "cache")
    (file,) = cache.glob("*/*/knowledge/unpruned-000000.jsonl")
    changed = change_grades(file)
    with sealing(file) as sealed:
        sealed.write_text(changed)
    run_here(small("full", tmp_path / "run", cache, *QUICK))
    assert reference(tmp_path / "run", "knowledge") == [0.0] * 5
    copy = tmp_path / "run" / "samples" / "knowledge" / "unpruned-000000.jsonl"
    assert (copy.read_text(), file_fault(copy)) == (changed, None)


@pytest.mark.slow
def test_a_changed_sweep_in_the_cache_is_not_believed(
    kept: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cache = shutil.copytree(kept, tmp_path / "cache")
    (knowledge,), (shallow,) = (cache.glob(f"*/*/{suite}/unpruned-000000.jsonl") for suite in ("knowledge", "shallow"))
    knowledge.write_text(change_grades(knowledge))
    shallow.write_text('{"foreign": 1}\n')
    run_here(small("full", tmp_path / "run", cache, *QUICK))
    for suite in ("knowledge", "shallow"):
        assert reference(tmp_path / "run", suite) == reference(kept.parent / "run", suite)
    assert f"{knowledge} is not trusted (it has other bytes than were sealed)" in capfd.readouterr().out


@pytest.fixture(scope="module")
def again(kept: Path) -> Path:
    """Another run, which finds both references in the cache."""
    folder = kept.parent / "again"
    run_here(small("full", folder, kept, *QUICK))
    return folder


@pytest.mark.slow
def test_a_run_has_the_samples_of_its_references(kept: Path, again: Path) -> None:
    for name in ("unpruned", "pruned"):
        for folder in (kept.parent / "run", again):
            assert read_sweep(folder / "samples" / "chain" / f"{name}-000000.jsonl").model == name


@pytest.mark.slow
@pytest.mark.parametrize("key", ["seconds", "seconds_per_token"])
def test_references_are_timed_where_they_were_swept_and_nowhere_else(kept: Path, again: Path, key: str) -> None:
    found = [
        {row["model"]: row[key] is not None for row in rows(folder / "sweeps.jsonl")}
        for folder in (kept.parent / "run", again)
    ]
    assert found == [{"unpruned": True, "pruned": True, "run": True}, {"unpruned": False, "pruned": False, "run": True}]


@pytest.mark.slow
def test_a_reference_of_which_a_part_was_cached_is_not_timed(kept: Path, tmp_path: Path) -> None:
    cache = shutil.copytree(kept, tmp_path / "cache")
    for file in cache.glob("*/*/knowledge/unpruned-000000*"):
        file.unlink()
    run_here(small("full", tmp_path / "run", cache, *QUICK))
    assert {row["seconds"] for row in rows(tmp_path / "run" / "sweeps.jsonl") if row["model"] == "unpruned"} == {None}


@pytest.mark.slow
def test_changed_weights_are_swept_anew(kept: Path, tmp_path: Path) -> None:
    model = shutil.copytree(MODEL, tmp_path / "model")
    muddled = {name: tensor.flip(0).contiguous() for name, tensor in weights(model).items()}
    save_file(muddled, model / "model.safetensors", {"format": "pt"})
    cache = shutil.copytree(kept, tmp_path / "cache")
    run_here(small("full", tmp_path / "run", cache, *QUICK, f"model.unpruned={model}"))
    assert max(reference(tmp_path / "run", "shallow")) < 0.5  # the model itself has 1.0


def test_references_are_rows_of_step_0(full: Path) -> None:
    assert {row["step"] for row in rows(full / "sweeps.jsonl") if row["model"] != "run"} == {0}


@pytest.mark.slow
def test_a_run_from_any_folder_finds_the_shipped_model(
    here: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_here(small("full", Path("mine"), Path("cache"), *QUICK))
    assert (tmp_path / "mine" / "checkpoint-1" / "COMPLETE").is_file()


def test_a_reference_is_let_go_before_the_next_model_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By counting alone, without the garbage collector: on a GPU both would be held otherwise when training begins."""
    loaded: list[weakref.ref[object]] = []
    held: list[int] = []

    def watched(*arguments: object) -> object:
        held.append(sum(reference() is not None for reference in loaded))
        found = checkpoint_weights(*arguments)  # type: ignore[arg-type]
        loaded.append(weakref.ref(found.model))  # type: ignore[arg-type]
        return found

    monkeypatch.setattr(references, "checkpoint_weights", watched)
    short = ["sweep.budgets=[1]", *(f"sweep.suites.{place}.size=1" for place in range(3)), "data.traces.size=16"]
    recipe = load_recipe(small("full", tmp_path / "run", tmp_path / "cache", *short)).recipe
    spec = read_inputs(recipe, ALONE).spec
    gc.disable()
    try:
        for _ in range(3):
            cache = references.ReferenceCache(tmp_path / str(len(loaded)), tmp_path / "samples", ALONE)
            references.reference_sweep("unpruned", str(MODEL), recipe.model, spec, cache)
    finally:
        gc.enable()
    assert held == [0, 0, 0]


def test_a_cache_that_cannot_be_written_stops_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("no folder")
    short = ["sweep.budgets=[1]", *(f"sweep.suites.{place}.size=1" for place in range(3)), "data.traces.size=16"]
    recipe = load_recipe(small("full", tmp_path / "run", tmp_path / "data", *short)).recipe
    spec = read_inputs(recipe, ALONE).spec
    sweeps = [
        references.reference_sweep(
            "unpruned",
            str(MODEL),
            recipe.model,
            spec,
            references.ReferenceCache(tmp_path / place, tmp_path / name, ALONE),
        )
        for place, name in (("cache", "samples"), ("file", "own"))
    ]
    assert sweeps[0] == sweeps[1] == {s: read_sweep(tmp_path / "own" / s / "unpruned-000000.jsonl") for s in sweeps[0]}
    assert (
        f"run.cache_dir={tmp_path / 'file'}: cannot be written (Not a directory); the sweeps" in capsys.readouterr().out
    )
