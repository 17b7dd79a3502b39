"""How long a run waits for W&B: limits that W&B knows, work that asks the server, uploads, and the end of a run."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
import wandb
from wandb.sdk.artifacts.exceptions import WaitTimeoutError

from recipes.paths import ROOT
from tests.runtime.servers import CLOSED, empty_hub, silent_server
from tests.train.runs import environment
from tests.train.wandb_server import dying_server
from train import wandb_waits
from train.wandb_waits import ask, last_line, wait_for_uploads, wait_settings


@dataclass
class Artifact:
    """An artifact whose upload is waited for `waits` times; then there is a fault, if any."""

    waits: int
    fault: Exception | None = None
    asked: list[int] = field(default_factory=list)

    def wait(self, timeout: int) -> None:
        self.asked.append(timeout)
        if len(self.asked) <= self.waits:
            raise WaitTimeoutError("late")
        if self.fault is not None:
            raise self.fault


def run_at(address: str, offline: bool = False) -> Any:
    return SimpleNamespace(offline=offline, settings=SimpleNamespace(base_url=address), dir="/r/wandb/run-1-me/files")


def test_the_limits_are_settings_of_wandb(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_INIT_TIMEOUT", "WANDB_FINISH_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    settings = wandb.Settings(**wait_settings())
    assert (settings.init_timeout, settings.finish_timeout, settings.finish_timeout_raises) == (30, 60, True)


def test_a_variable_of_wandb_counts_before_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_FINISH_TIMEOUT", "7")
    assert wait_settings()["finish_timeout"] == 7


def test_work_of_an_offline_run_is_just_done() -> None:
    done: list[int] = []
    ask(run_at(CLOSED, offline=True), "the report", lambda: done.append(1))
    assert done == [1]
    with pytest.raises(OSError, match="full"):
        ask(run_at(CLOSED, offline=True), "the report", lambda: _raise(OSError("full")))


def _raise(fault: Exception) -> None:
    raise fault


def test_what_the_server_refuses_is_said_and_missing(capsys: pytest.CaptureFixture[str]) -> None:
    ask(run_at(CLOSED), "the report", lambda: _raise(ValueError("no such project\nand more")))
    assert capsys.readouterr().err == "W&B lacks the report (no such project); the run folder has it\n"


def test_a_server_is_not_waited_for_without_a_limit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(wandb_waits, "REQUEST_SECONDS", 0.02)
    end = Event()
    ask(run_at(CLOSED), "the report", end.wait)
    end.set()
    assert capsys.readouterr().err == "W&B lacks the report (no answer within 0.02 s); the run folder has it\n"


def test_uploads_are_waited_for_while_the_server_answers() -> None:
    artifact = Artifact(waits=2)
    with empty_hub() as address:
        wait_for_uploads(run_at(address), [artifact])
    assert artifact.asked == [60, 60, 60]


def test_an_upload_that_failed_is_not_waited_for() -> None:
    first, second = Artifact(0, ValueError("refused")), Artifact(0)
    wait_for_uploads(run_at(CLOSED), [first, second])
    assert (first.asked, second.asked) == ([60], [60])


def test_uploads_to_a_server_that_answers_no_more_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wandb_waits, "ANSWER_SECONDS", 0.05)
    first, second = Artifact(waits=9), Artifact(waits=9)
    with silent_server() as address:
        wait_for_uploads(run_at(address), [first, second])
    assert (first.asked, second.asked) == ([60], [])


def test_the_last_line_says_what_sends_the_rest() -> None:
    assert last_line(run_at(CLOSED), "http://a/b") == (
        "W&B     http://a/b lacks rows, since the server did not answer in time; wandb sync /r/wandb/run-1-me"
    )


TRACKED_RUN = """
import sys
from pathlib import Path
from data_prep.problem import Suite
from recipes.tracking import WandbSection
from runtime.run_folder import RunFolder
from train.tracking import start_tracker
from train.wandb_run import Tracked

facts = {"id": "me", "name": "run", "starts": [{}]}
tracked = Tracked(RunFolder(Path(sys.argv[1])), facts, Suite("chain", (), "exact"))
tracker = start_tracker(WandbSection(mode="online"), tracked, "group")
tracker.log({"loss": 1.0}, 1)
tracker.finish({"verdict": "PARTIAL"})
print(tracker.close(0))
"""


@pytest.mark.slow
def test_a_server_that_dies_during_a_run_does_not_hold_its_end(tmp_path: Path) -> None:
    """Through W&B itself, in a process of its own."""
    with dying_server() as address:
        limits = {"WANDB_FINISH_TIMEOUT": "2", "WANDB_HTTP_TIMEOUT": "1"}
        of_wandb = {"WANDB_BASE_URL": address, "WANDB_API_KEY": "f" * 40, **limits}
        done = subprocess.run(
            [sys.executable, "-c", TRACKED_RUN, str(tmp_path)],
            cwd=ROOT,
            env=environment(HOME=str(tmp_path), **of_wandb),
            capture_output=True,
            text=True,
            timeout=90,
            check=True,
        )
    (folder,) = (tmp_path / "wandb").glob("run-*-me")
    assert done.stdout.splitlines() == [
        f"W&B    {address}/team/p/runs/me",
        f"W&B     {address}/team/p/runs/me lacks rows, since the server did not answer in time; wandb sync {folder}",
    ]
    assert "W&B lacks the report (" in done.stderr and "Traceback" not in done.stderr
