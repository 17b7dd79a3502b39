"""Training is shown by a bar, or by one line per logging step."""

from __future__ import annotations

from typing import Any

import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments

from runtime.progress import WATCHED
from tests.runtime.test_progress import on_terminal
from train.hooks.progress import ProgressHook, described

LOGS = {"loss": 1.23456, "learning_rate": 5e-5, "tokens_per_second": 12345.6, "grad_norm": 3.0}
LINE = "step 3 of 8: loss 1.2346, learning rate 5.00e-05, 12,346 tokens/s, 0:00 left\n"


def silent(step_seconds: float) -> str:
    return ""


def log(hook: ProgressHook, logs: dict[str, Any], first_rank: bool = True) -> None:
    state = TrainerState(global_step=3, is_world_process_zero=first_rank)
    hook.on_step_end(TrainingArguments(), state, TrainerControl())
    hook.on_log(TrainingArguments(), state, TrainerControl(), logs)


@pytest.mark.parametrize("wants_bar", [True, False])
def test_one_line_per_logging_step_where_no_bar_is_seen(wants_bar: bool, capsys: pytest.CaptureFixture[str]) -> None:
    hook = ProgressHook(8, wants_bar, silent)
    with hook.shown(0):
        log(hook, LOGS)
    assert capsys.readouterr() == (LINE, "")


def test_the_bar_counts_steps_and_has_loss_and_speed_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    hook = ProgressHook(8, True, silent)
    with hook.shown(2):
        log(hook, LOGS)
        (work,) = WATCHED.works
        assert work.told(work.began).startswith("3 of 8 steps (38%), loss 1.2346, 12,346 tokens/s, ")
    assert WATCHED.works == [] and "step 3 of 8" not in terminal.getvalue()


def test_what_sweeps_take_is_said_once_as_soon_as_it_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    answers = iter(["", "sweeps take half", "never asked"])
    hook = ProgressHook(8, True, lambda step_seconds: next(answers) if step_seconds == 2.5 else "wrong")
    with hook.shown(0):
        for _ in range(3):
            log(hook, LOGS | {"step_seconds": 2.5})
    assert capsys.readouterr().out == LINE + LINE + "sweeps take half\n" + LINE


@pytest.mark.parametrize(("logs", "first_rank"), [({"train_runtime": 5.0}, True), (LOGS, False)])
def test_other_logs_and_other_ranks_say_nothing(
    logs: dict[str, float], first_rank: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    log(ProgressHook(8, True, silent), logs, first_rank)
    assert capsys.readouterr() == ("", "")


def test_what_is_not_logged_is_left_out() -> None:
    assert described({"loss": 1.0, "tokens_per_second": None}) == "loss 1.0000"
