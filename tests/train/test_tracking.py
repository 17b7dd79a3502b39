"""Weights & Biases: what an offline run holds, read back with W&B's own reader, and what happens without a server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from recipes.schema import WandbSection
from tests.train.runs import environment, ours, plain, rows, small
from train.tracking import CarefulTracker, NoTracker, confirmed_values, start_tracker, sweep_values, wandb_mode

KEY = "feedfacefeedfacefeedfacefeedfacefeedface"


@dataclass(frozen=True)
class Offline:
    """A run under WANDB_MODE=offline: its folder, its output, and the records of its .wandb file."""

    folder: Path
    out: subprocess.CompletedProcess[str]
    records: list[dict[str, Any]]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [record[kind] for record in self.records if record["type"] == kind]

    def history(self) -> list[dict[str, Any]]:
        return [row["item"] for row in self.of("history")]

    def run(self) -> dict[str, Any]:
        found: dict[str, Any] = self.of("run")[0]
        return found


def inspect(folder: Path) -> list[dict[str, Any]]:
    """All records of all W&B files of a run, by `wandb leet inspect`."""
    files = sorted(folder.glob("wandb/offline-run-*/run-*.wandb"))
    found = []
    for file in files:
        done = subprocess.run(
            [str(Path(sys.executable).parent / "wandb"), "leet", "inspect", "--json", str(file)],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        found += [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return found


def do(folder: Path, cache: Path) -> Offline:
    arguments = small("lora", folder, cache, "zero.stage=0", "wandb.mode=auto", "export.enabled=false")
    out = plain(arguments, folder.parent, WANDB_MODE="offline")
    assert out.returncode == 0, out.stderr[-2000:]
    return Offline(folder, out, inspect(folder))


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Offline:
    return do(tmp_path_factory.mktemp("offline") / "run", cache)


@pytest.mark.slow
def test_config_holds_recipe_and_plan(offline: Offline) -> None:
    config = offline.run()["config"]["update"]
    assert (config["recipe"]["adapter"]["r"], config["prune_plan"]["removed"]) == (16, [6, 7])


@pytest.mark.slow
def test_the_group_is_the_pruned_model(offline: Offline) -> None:
    assert offline.run()["run_group"] == "nano_model-tail-2"


@pytest.mark.slow
def test_the_id_is_that_of_the_run_folder(offline: Offline) -> None:
    assert offline.run()["run_id"] == json.loads((offline.folder / "run.json").read_text())["id"]


@pytest.mark.slow
def test_losses_are_those_of_the_run_folder(offline: Offline) -> None:
    logged = [(row["train/global_step"], row["train/loss"]) for row in offline.history() if "train/loss" in row]
    assert logged == [(row["step"], row["loss"]) for row in rows(offline.folder / "metrics.jsonl")]


@pytest.mark.slow
def test_sweeps_are_those_of_the_run_folder(offline: Offline) -> None:
    logged = [
        (row["train/global_step"], row["sweep/chain/acc@b128"])
        for row in offline.history()
        if "sweep/chain/acc@b128" in row
    ]
    assert logged == [
        (row["step"], row["accuracy"])
        for row in rows(offline.folder / "sweeps.jsonl")
        if row["model"] != "unpruned" and (row["suite"], row["budget"]) == ("chain", 128)
    ]


@pytest.mark.slow
def test_the_unpruned_model_stands_apart(offline: Offline) -> None:
    logged = [row["unpruned/chain/acc@b128"] for row in offline.history() if "unpruned/chain/acc@b128" in row]
    assert logged == [
        row["accuracy"]
        for row in rows(offline.folder / "sweeps.jsonl")
        if (row["model"], row["suite"], row["budget"]) == ("unpruned", "chain", 128)
    ]


@pytest.mark.slow
def test_steps_never_go_back(offline: Offline) -> None:
    steps = [row["train/global_step"] for row in offline.history()]
    assert steps == sorted(steps)
    assert len(steps) == 4 + 2 + 2  # logging steps, sweeps, references


@pytest.mark.slow
def test_curves_are_drawn_over_the_training_step(offline: Offline) -> None:
    axes = {metric["glob_name"]: metric["step_metric"] for metric in offline.of("metric") if "glob_name" in metric}
    assert axes == dict.fromkeys(("train/*", "sweep/*", "unpruned/*"), "train/global_step")


@pytest.mark.slow
def test_wandb_says_nothing_on_the_terminal(offline: Offline) -> None:
    assert "wandb" not in (offline.out.stdout + offline.out.stderr).replace(str(offline.folder), "")


@pytest.mark.slow
def test_a_resumed_run_has_the_same_id(offline: Offline, cache: Path) -> None:
    (offline.folder / "checkpoint-8" / "COMPLETE").unlink()
    again = do(offline.folder, cache)
    assert {run["run_id"] for run in again.of("run")} == {offline.run()["run_id"]}
    assert len(again.of("run")) == 2
    places = [row["_step"] for row in again.history()]
    assert len(set(places)) == len(places) and max(places) >= 10_000_000  # those of the second start stand behind


@pytest.fixture(scope="module")
def unreachable(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Offline:
    """A run whose server does not answer: nothing listens on the discard port."""
    folder = tmp_path_factory.mktemp("unreachable") / "run"
    arguments = small(
        "lora", folder, cache, "zero.stage=0", "wandb.mode=online", "export.enabled=false", "trainer.max_steps=2"
    )
    nobody = "http://127.0.0.1:9"
    out = plain(arguments, folder.parent, WANDB_BASE_URL=nobody, WANDB_API_KEY=KEY, WANDB_INIT_TIMEOUT="4")
    return Offline(folder, out, inspect(folder))


@pytest.mark.slow
def test_without_a_server_training_goes_on(unreachable: Offline) -> None:
    assert unreachable.out.returncode == 0
    assert [row["step"] for row in rows(unreachable.folder / "metrics.jsonl")] == [2]


@pytest.mark.slow
def test_without_a_server_one_message_says_so(unreachable: Offline) -> None:
    lines = [line for line in ours(unreachable.out.stderr) if "W&B" in line or line.startswith("wandb")]
    assert len(lines) == 1
    assert lines[0].startswith("W&B cannot be reached")


@pytest.mark.slow
def test_without_a_server_the_rows_are_kept_offline(unreachable: Offline) -> None:
    assert [row["train/global_step"] for row in unreachable.history() if "train/loss" in row] == [2]


@pytest.mark.slow
def test_the_key_is_written_nowhere(unreachable: Offline) -> None:
    files = [path for path in unreachable.folder.rglob("*") if path.is_file()]
    assert [str(path) for path in files if KEY.encode() in path.read_bytes()] == []
    assert KEY not in unreachable.out.stdout + unreachable.out.stderr


@pytest.mark.parametrize(
    ("mode", "environ", "expected"),
    [
        ("auto", {}, "offline"),
        ("auto", {"WANDB_API_KEY": KEY}, "online"),
        ("auto", {"WANDB_API_KEY": KEY, "WANDB_MODE": "offline"}, "offline"),
        ("auto", {"WANDB_MODE": "disabled"}, "disabled"),
        ("online", {"WANDB_MODE": "disabled"}, "online"),
    ],
)
def test_the_mode_by_key_and_environment(
    mode: Any, environ: dict[str, str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**environ, "HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    assert wandb_mode(WandbSection(mode=mode)) == expected


def test_disabled_tracks_nothing(tmp_path: Path) -> None:
    assert isinstance(start_tracker(WandbSection(mode="disabled"), tmp_path, {}, "group"), NoTracker)


class Failing(NoTracker):
    """A tracker whose disk is full from its second row on."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def log(self, values: Mapping[str, Any], step: int) -> None:
        if self.rows:
            raise OSError("No space left on device")
        self.rows.append(step)


def test_a_tracker_that_fails_is_left_and_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    failing = Failing()
    careful = CarefulTracker(failing)
    for step in range(4):
        careful.log({}, step)
    careful.finish({})
    assert failing.rows == [0]
    assert capsys.readouterr().err == "W&B failed (No space left on device); the run goes on without it\n"


@pytest.mark.slow
def test_a_file_where_its_folder_should_be_stops_no_run(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "wandb").write_text("a file")
    arguments = small("lora", tmp_path / "run", cache, "zero.stage=0", "wandb.mode=offline", "export.enabled=false")
    out = plain(arguments, tmp_path)
    assert (out.returncode, "Traceback" in out.stderr) == (0, False), out.stderr[-2000:]
    assert (tmp_path / "run" / "report.html").is_file()


def test_a_netrc_that_cannot_be_read_holds_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".netrc").mkdir()
    assert wandb_mode(WandbSection()) == "offline"


def test_values_of_a_sweep_by_name() -> None:
    at_budget = {
        "model": "run",
        "suite": "chain",
        "budget": 16,
        "accuracy": 0.5,
        "low": 0.4,
        "high": 0.6,
        "closed": 1.0,
        "looping": 0.0,
        "cut": 0.25,
        "tokens_spent": 9.0,
        "answer_tokens": 2.0,
    }
    whole = {"model": "run", "suite": "chain", "budget": None, "level": 0.5, "gain_per_doubling": 0.1, "verdict": None}
    assert sweep_values([at_budget, whole]) == {
        "sweep/chain/acc@b16": 0.5,
        "sweep/chain/low@b16": 0.4,
        "sweep/chain/high@b16": 0.6,
        "sweep/chain/closed@b16": 1.0,
        "sweep/chain/looping@b16": 0.0,
        "sweep/chain/cut@b16": 0.25,
        "sweep/chain/tokens@b16": 9.0,
        "sweep/chain/answer_tokens@b16": 2.0,
        "sweep/chain/level": 0.5,
        "sweep/chain/gain_per_doubling": 0.1,
    }


def test_a_confirmation_has_keys_of_its_own_in_the_summary() -> None:
    numbers = dict.fromkeys(("level_low", "level_high", "gain_per_doubling", "gain_low", "gain_high"), 0.5)
    confirmed = {"step": 4, "problems": 40, "verdict": "PARTIAL", "level": 0.7, "weights": "abc", **numbers}
    values = confirmed_values(confirmed)
    assert (values["confirmed/verdict"], values["confirmed/level"], len(values)) == ("PARTIAL", 0.7, 9)
    assert confirmed_values(None) == {}
