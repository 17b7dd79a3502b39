"""Weights & Biases: what an offline run holds, read back with W&B's own reader, and what happens without a server."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import wandb

from data_prep.problem import Suite
from recipes.paths import ROOT
from recipes.schema import WandbSection
from runtime.run_folder import RunFolder
from tests.train.runs import SCRIPT, environment, ours, rows, small
from tests.train.starts import completed
from tests.train.wandb_files import Start, starts_of
from train.tracking import CarefulTracker, NoTracker, init_values, start_tracker, wandb_mode
from train.wandb_run import Tracked

KEY = "feedfacefeedfacefeedfacefeedfacefeedface"


@dataclass(frozen=True)
class Offline:
    """A run under WANDB_MODE=offline: its folder, its output, and its first start."""

    folder: Path
    out: subprocess.CompletedProcess[str]
    start: Start

    def history(self) -> list[dict[str, Any]]:
        return self.start.history()


def do(folder: Path, cache: Path) -> Offline:
    arguments = small("lora", folder, cache, "zero.stage=0", "wandb.mode=auto", "export.enabled=false")
    out = completed([SCRIPT, *arguments], folder.parent, WANDB_MODE="offline")
    assert out.returncode == 0, out.stderr[-2000:]
    return Offline(folder, out, starts_of(folder)[0])


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Offline:
    return do(tmp_path_factory.mktemp("offline") / "run", cache)


@pytest.mark.slow
def test_config_holds_recipe_and_plan(offline: Offline) -> None:
    config = offline.start.run()["config"]["update"]
    assert (config["recipe"]["adapter"]["r"], config["prune_plan"]["removed"]) == (16, [6, 7])


@pytest.mark.slow
def test_the_group_is_the_pruned_model(offline: Offline) -> None:
    assert offline.start.run()["run_group"] == "nano_model-tail-2"


@pytest.mark.slow
def test_the_id_is_that_of_the_run_folder(offline: Offline) -> None:
    assert offline.start.run()["run_id"] == json.loads((offline.folder / "run.json").read_text())["id"]


@pytest.mark.slow
def test_losses_are_those_of_the_run_folder(offline: Offline) -> None:
    logged = [(row["train/global_step"], row["train/loss"]) for row in offline.history() if "train/loss" in row]
    assert logged == [(row["step"], row["loss"]) for row in rows(offline.folder / "metrics.jsonl")]


@pytest.mark.slow
def test_sweeps_are_those_of_the_run_folder(offline: Offline) -> None:
    assert offline.start.curve("detail/chain/acc@b128", "recovery/step") == [
        (row["step"], row["accuracy"])
        for row in rows(offline.folder / "sweeps.jsonl")
        if (row["model"], row["suite"], row["budget"]) == ("run", "chain", 128)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("model", ["unpruned", "pruned"])
def test_a_reference_stands_apart_and_once(offline: Offline, model: str) -> None:
    key = f"reference/{model}/chain/acc@b128"
    assert [row[key] for row in offline.history() if key in row] == [
        row["accuracy"]
        for row in rows(offline.folder / "sweeps.jsonl")
        if (row["model"], row["suite"], row["budget"]) == (model, "chain", 128)
    ]


@pytest.mark.slow
def test_few_numbers_have_a_chart_of_their_own(offline: Offline) -> None:
    """All are drawn over a step of their own; the others are there for whoever asks."""
    metrics = offline.start.of("metric")
    hidden = {each.get("glob_name", each.get("name")) for each in metrics if each["options"].get("hidden")}
    assert {"detail/*", "reference/*", "train/global_step", "recovery/step"} <= hidden
    shown = {key for row in offline.history() for key in row if key.startswith(("recovery/", "train/"))} - hidden
    assert len(shown) <= 22
    steps = {each["glob_name"]: each.get("step_metric") for each in metrics if "glob_name" in each}
    assert (steps["train/*"], steps["recovery/*"]) == ("train/global_step", "recovery/step")


@pytest.mark.slow
def test_the_console_is_kept(offline: Offline) -> None:
    text = (offline.start.folder / "files" / "output.log").read_text()
    assert "step 8, chain: accuracy by thinking budget" in text


@pytest.mark.slow
def test_wandb_says_nothing_on_the_terminal_but_our_last_line(offline: Offline) -> None:
    *before, last = ours(offline.out.stdout)
    assert last == f"W&B     wandb sync {offline.start.folder}"
    said = "".join(before) + offline.out.stderr
    assert "wandb" not in said.replace(str(offline.folder), "")


@pytest.fixture(scope="module")
def unreachable(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Offline:
    """A run whose server does not answer: nothing listens on the discard port."""
    folder = tmp_path_factory.mktemp("unreachable") / "run"
    arguments = small(
        "lora", folder, cache, "zero.stage=0", "wandb.mode=online", "export.enabled=false", "trainer.max_steps=2"
    )
    nobody = "http://127.0.0.1:9"
    out = completed(
        [SCRIPT, *arguments], folder.parent, WANDB_BASE_URL=nobody, WANDB_API_KEY=KEY, WANDB_INIT_TIMEOUT="4"
    )
    return Offline(folder, out, starts_of(folder)[0])


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
    tracked = Tracked(RunFolder(tmp_path), {}, Suite("chain", (), "exact"))
    assert isinstance(start_tracker(WandbSection(mode="disabled"), tracked, "group"), NoTracker)


FACTS = {"id": "me", "name": "folder"}
OF_WANDB = {"WANDB_PROJECT": "theirs", "WANDB_NAME": "n", "WANDB_RUN_GROUP": "g", "WANDB_ENTITY": "e"}


def test_without_a_word_a_run_is_called_after_its_folder_and_its_pruned_model() -> None:
    values = init_values(WandbSection(), FACTS, "pruned", {})
    assert values == {
        **{"id": "me", "name": "folder", "project": "chainmend", "entity": None, "group": "pruned"},
        **{"job_type": "train", "tags": None, "notes": None},
    }


def test_variables_of_wandb_count_before_our_defaults() -> None:
    """None leaves the word to W&B, which reads them."""
    values = init_values(WandbSection(), FACTS, "pruned", OF_WANDB)
    assert [values[key] for key in ("project", "name", "group", "entity", "tags", "notes")] == [None] * 6


def test_the_recipe_counts_before_the_variables() -> None:
    section = WandbSection(project="p", name="mine", group="ours", entity="team", tags=["a"], notes="why")
    values = init_values(section, FACTS, "pruned", OF_WANDB)
    assert [values[key] for key in ("project", "name", "group", "entity")] == ["p", "mine", "ours", "team"]
    assert (values["tags"], values["notes"]) == (["a"], "why")


def test_under_an_agent_the_project_is_that_of_its_sweep() -> None:
    section = WandbSection(project="p", entity="team", name="mine")
    values = init_values(section, FACTS, "pruned", {**OF_WANDB, "WANDB_SWEEP_ID": "s"})
    assert (values["project"], values["entity"], values["name"]) == (None, None, "mine")


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
    assert capsys.readouterr().err == "W&B failed (No space left on device); the run continues without it\n"


def test_a_tracker_that_failed_is_ended_too() -> None:
    """Else W&B would end it when the process ends, without a limit."""

    class Ending(Failing):
        def close(self, exit_code: int) -> str:
            return f"ended with {exit_code}"

    careful = CarefulTracker(Ending())
    for step in range(2):
        careful.log({}, step)
    assert careful.close(75) == "ended with 75"


@pytest.mark.slow
def test_a_file_where_its_folder_should_be_stops_no_run(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "wandb").write_text("a file")
    arguments = small(
        "lora", tmp_path / "run", cache, "zero.stage=0", "wandb.mode=offline", "export.enabled=false", "run.report=end"
    )
    out = completed([SCRIPT, *arguments], tmp_path)
    assert (out.returncode, "Traceback" in out.stderr) == (0, False), out.stderr[-2000:]
    assert (tmp_path / "run" / "report.html").is_file()


def test_a_netrc_that_cannot_be_read_holds_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NETRC", raising=False)
    (tmp_path / ".netrc").mkdir()
    wandb.teardown()
    assert wandb_mode(WandbSection()) == "offline"


@pytest.mark.slow
@pytest.mark.parametrize("silent", ["true", "false"])
def test_a_key_is_found_where_wandb_keeps_it_and_no_server_is_asked(silent: str, tmp_path: Path) -> None:
    """In a process of its own, since W&B looks once. The server takes every connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        host = f"127.0.0.1:{server.getsockname()[1]}"
        (tmp_path / "keys").write_text(f"machine {host}\n  login user\n  password {KEY}\n")
        of_wandb = {"WANDB_BASE_URL": f"http://{host}", "WANDB_SILENT": silent}
        found = subprocess.run(
            [sys.executable, "-c", "from train.tracking import *; print(wandb_mode(WandbSection()))"],
            cwd=ROOT,
            env=environment(NETRC=str(tmp_path / "keys"), HOME=str(tmp_path), **of_wandb),
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        with pytest.raises(BlockingIOError):  # nobody waits to be accepted
            server.accept()
    assert found.stdout == "online\n"
    assert KEY not in found.stdout + found.stderr
