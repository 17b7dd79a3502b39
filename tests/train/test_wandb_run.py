"""One W&B run over several starts, read back from its offline files: nothing twice, and every summary the run's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data_prep.problem import Problem, Suite
from eval.types import SWEEP_KEY
from recipes.tracking import WandbSection
from runtime.files import append_row, put_rows, read_rows, write_rows
from runtime.run_folder import RunFolder
from tests.train.test_tracked_tables import samples, thought
from tests.train.test_tracked_values import sweep
from tests.train.wandb_files import Start, starts_of
from train import wandb_view
from train.tracking import Tracker, start_tracker
from train.wandb_run import Tracked, origins, where

SUITE = Suite("chain", (Problem("a", "1+1?", "2"),), "exact")
FACTS = {"id": "me", "name": "run", "pruned_fingerprint": "sha256:abc", "data": {"hash": "def"}, "recipe": {"seed": 1}}


def begin(folder: RunFolder, starts: int) -> Tracker:
    tracked = Tracked(folder, {**FACTS, "starts": [{}] * starts}, SUITE)
    return start_tracker(WandbSection(mode="offline"), tracked, "group")


def train_to(folder: RunFolder, tracker: Tracker, step: int) -> None:
    append_row(folder.metrics, {"step": step, "loss": 1 / step})
    tracker.log({"loss": 1 / step}, step)


def sweep_at(folder: RunFolder, tracker: Tracker, model: str, step: int, accuracy: float) -> None:
    new = sweep(model, step, accuracy)
    put_rows(folder.sweeps, new, SWEEP_KEY)
    samples(folder.samples, model, step, [thought("a", f"<b>thought of {model}</b>")])
    tracker.log_sweep(new, step)


def references(folder: RunFolder, tracker: Tracker) -> None:
    """As every start of a run does."""
    sweep_at(folder, tracker, "unpruned", 0, 1.0)
    sweep_at(folder, tracker, "pruned", 0, 0.3)


def first_start(folder: RunFolder) -> None:
    """Stops after step 6, with a checkpoint at step 4."""
    tracker = begin(folder, 1)
    references(folder, tracker)
    train_to(folder, tracker, 2)
    sweep_at(folder, tracker, "run", 4, 0.5)
    for step in (4, 6):
        train_to(folder, tracker, step)
    tracker.close(75)


def second_start(folder: RunFolder) -> None:
    """Resumes from step 4, and trains to the end."""
    for file in (folder.metrics, folder.sweeps):
        write_rows(file, [row for row in read_rows(file) if row["step"] <= 4])
    tracker = begin(folder, 2)
    references(folder, tracker)
    train_to(folder, tracker, 6)
    sweep_at(folder, tracker, "run", 8, 0.9)
    train_to(folder, tracker, 8)
    folder.report.write_text("a report")
    tracker.finish({"verdict": "PARTIAL"})
    tracker.close(0)


def third_start(folder: RunFolder) -> str:
    """The same command on a finished run."""
    tracker = begin(folder, 3)
    references(folder, tracker)
    tracker.finish({"verdict": "PARTIAL"})
    return tracker.close(0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunFolder]:
    """A run that was stopped, resumed, and started again when it was done."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        del os.environ[name]
    folder = RunFolder(tmp_path_factory.mktemp("tracked") / "run")
    folder.path.mkdir()
    first_start(folder)
    second_start(folder)
    (folder.path / "said").write_text(third_start(folder))
    yield folder
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def starts(folder: RunFolder) -> list[Start]:
    return starts_of(folder.path)


def over_all(starts: list[Start], key: str, step: str) -> list[tuple[int, Any]]:
    return [point for start in starts for point in start.curve(key, step)]


@pytest.mark.slow
def test_no_step_is_logged_twice_or_after_a_later_one(starts: list[Start]) -> None:
    assert over_all(starts, "train/loss", "train/global_step") == [(2, 0.5), (4, 0.25), (6, 1 / 6), (8, 0.125)]
    assert over_all(starts, "recovery/level", "recovery/step") == [(4, 0.5), (8, 0.9)]


@pytest.mark.slow
@pytest.mark.parametrize(("model", "level"), [("unpruned", 1.0), ("pruned", 0.3)])
def test_references_are_logged_once_over_all_starts(starts: list[Start], model: str, level: float) -> None:
    key = f"reference/{model}/chain/level"
    assert [row[key] for start in starts for row in start.history() if key in row] == [level]


@pytest.mark.slow
@pytest.mark.parametrize(("start", "step", "level"), [(0, 4, 0.5), (1, 8, 0.9), (2, 8, 0.9)])
def test_each_summary_is_that_of_the_newest_sweep(starts: list[Start], start: int, step: int, level: float) -> None:
    """A second folder knows nothing of the first, and a finished run logs nothing any more."""
    summary = starts[start].summary()
    assert (summary["recovery/step"], summary["recovery/level"], summary["detail/chain/level"]) == (step, level, level)
    assert summary["recovery/gain_per_doubling"] == summary["gain_per_doubling"] == level - 0.25
    assert (summary["verdict"], summary["recovery/verdict_score"]) == ("PARTIAL", 2)
    assert summary["reference/unpruned/chain/level"] == 1.0


@pytest.mark.slow
def test_a_finished_run_that_is_started_again_has_no_rows_but_the_last_step(starts: list[Start]) -> None:
    assert starts[2].history() == []
    assert starts[2].summary()["train/global_step"] == 8


@pytest.mark.slow
def test_rows_of_later_starts_have_places_behind(starts: list[Start]) -> None:
    places = [row["_step"] for start in starts for row in start.history()]
    assert places == sorted(set(places))


@pytest.mark.slow
def test_the_chart_has_one_line_more_after_a_sweep(starts: list[Start]) -> None:
    names = [list(dict.fromkeys(row[1] for row in start.table("budget_curve_table")["data"])) for start in starts[:2]]
    assert names == [["unpruned", "pruned", "step 4"], ["unpruned", "pruned", "step 4", "step 8"]]


@pytest.mark.slow
def test_the_tables_have_one_name_at_every_sweep(starts: list[Start]) -> None:
    sweeps, problems = starts[1].table("sweeps"), starts[1].table("problems")
    assert [row[:4] for row in sweeps["data"]] == [
        ["chain", "unpruned", 0, 1.0],
        ["chain", "pruned", 0, 0.3],
        ["chain", "run", 4, 0.5],
        ["chain", "run", 8, 0.9],
    ]
    assert problems["data"][0][:4] == ["a", "1+1?", "2", "<b>thought of unpruned</b>\n\n7"]  # text, nobody's HTML


@pytest.mark.slow
def test_the_saved_view_finds_its_chart_and_tables(starts: list[Start]) -> None:
    keys = [f"{wandb_view.BUDGET_CURVE}_table", *wandb_view.TABLES]
    assert {f"{key}.path" for key in keys} <= set(starts[1].summary())
    columns = starts[1].table(keys[0])["columns"]
    assert columns == ["step", "lineKey", "lineVal"]


@pytest.mark.slow
def test_the_report_is_an_artifact_and_no_weights_are(starts: list[Start]) -> None:
    kinds = [artifact["type"] for start in starts for artifact in start.of("artifact")]
    assert sorted(set(kinds)) == ["report", "run_table"]


@pytest.mark.slow
def test_the_last_line_sends_all_starts(folder: RunFolder, starts: list[Start]) -> None:
    assert (folder.path / "said").read_text() == f"W&B     wandb sync {' '.join(str(each.folder) for each in starts)}"


@pytest.mark.slow
def test_weights_name_what_they_come_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "checkpoint-8").mkdir()
    (tmp_path / "checkpoint-8" / "model.safetensors").write_bytes(b"weights")
    tracker = begin(RunFolder(tmp_path), 1)
    tracker.keep("checkpoint", tmp_path / "checkpoint-8")
    tracker.close(0)
    (artifact,) = starts_of(tmp_path)[0].of("artifact")
    assert (artifact["name"], sorted(artifact["aliases"])) == ("checkpoint-me", ["checkpoint-8", "latest"])
    assert artifact["metadata"] == '{"pruned_model":"sha256:abc","traces":"def","run":"me"}'
    (file,) = artifact["manifest"]["contents"]
    assert file["local_path"] == str(tmp_path / "checkpoint-8" / "model.safetensors")  # not copied first


def test_origins_are_hashes_and_no_paths() -> None:
    assert origins({**FACTS, "pruned": "/home/me/pruned"}) == {
        "pruned_model": "sha256:abc",
        "traces": "def",
        "run": "me",
    }


def test_an_online_run_says_its_address(tmp_path: Path) -> None:
    tracked = Tracked(RunFolder(tmp_path), FACTS, SUITE)
    assert where("https://wandb.ai/me/p/runs/me", False, tracked) == "W&B     https://wandb.ai/me/p/runs/me"


def test_what_was_sent_is_not_sent_again(tmp_path: Path) -> None:
    tracked = Tracked(RunFolder(tmp_path / "a run"), FACTS, SUITE)
    for name in (
        "offline-run-20260101_000000-me",
        "offline-run-20260102_000000-me",
        "offline-run-20260103_000000-other",
    ):
        (tracked.wandb / name).mkdir(parents=True)
    (tracked.wandb / "offline-run-20260101_000000-me" / "run-me.wandb.synced").touch()
    assert where(None, True, tracked) == f"W&B     wandb sync '{tracked.wandb / 'offline-run-20260102_000000-me'}'"
