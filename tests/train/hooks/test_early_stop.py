"""When a run ends early, and which checkpoint is the best: decisions over rows, by hand; then in a real run."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments

from eval.numbers.selection import metric_values
from recipes.guard import StopOnPlateau, StopOnVerdict, SweepMetric
from recipes.sweep import VerdictSection
from runtime.files import put_rows
from runtime.ranks import ALONE
from tests.train.runs import rows, run_here, run_in, same, small, weights
from train.export import main as export
from train.hooks.early_stop import EarlyStopHook, NothingLeftToTrain, reason_to_stop
from train.hooks.preemption import PreemptionHook
from train.hooks.recorder import SWEEP_KEY, Looks, SweepRecorder
from train.hooks.sweep import SweepHook, Sweeps
from train.references import References
from train.run import Run

GAIN = SweepMetric("chain", "gain")


def swept(run: Run, step: int | None = None) -> SweepHook:
    """The hook of sweeps whose newest one was at `step`."""
    recorder = SweepRecorder(run, References({}, {}), VerdictSection(suite="chain"), Looks(1, 8))
    hook = SweepHook(Sweeps(), recorder, PreemptionHook(ALONE))
    hook.swept_step = step
    return hook


def sweeps(values: Sequence[float | None], words: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The rows of one suite's sweeps at steps 1, 2, …: two budgets, and the whole with its gain and its verdict."""
    found = []
    for step, value in enumerate(values, start=1):
        common = {"step": step, "model": "run", "suite": "chain"}
        found += [
            {**common, "budget": 16, "accuracy": 0.1},
            {**common, "budget": 32, "accuracy": step / 10},
            {
                **common,
                "budget": None,
                "gain_per_doubling": value,
                "level": 0.1,
                "verdict": words[step - 1] if words else None,
            },
        ]
    return found


@pytest.mark.parametrize(
    ("words", "stops"),
    [
        (["RETURNED", "RETURNED"], True),
        (["PARTIAL", "RETURNED"], False),
        (["RETURNED", "RETURNED", "PARTIAL"], False),
        (["PARTIAL", "RETURNED", "RETURNED"], True),
    ],
)
def test_returned_so_many_times_in_a_row_ends_a_run(words: list[str], stops: bool) -> None:
    section = StopOnVerdict(on="verdict", times=2)
    assert bool(reason_to_stop(section, sweeps([0.0] * len(words), words), "chain")) is stops


@pytest.mark.parametrize(
    ("values", "stops"),
    [([0.1, 0.2, 0.3], False), ([0.3, 0.2, 0.2], True), ([0.1, 0.2, 0.19], False), ([0.1, 0.14, 0.14], True)],
)  # 0.14 is no rise of 0.05
def test_so_many_sweeps_without_a_new_best_end_a_run(values: list[float], stops: bool) -> None:
    section = StopOnPlateau(on="plateau", metric=str(GAIN), times=2, min_rise=0.05)
    assert bool(reason_to_stop(section, sweeps(values), "chain")) is stops


def test_a_sweep_that_was_owed_and_decides_is_recorded_when_the_run_goes_on(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    put_rows(run.folder.sweeps, sweeps([0.2, 0.1]), SWEEP_KEY)
    hook = EarlyStopHook(StopOnPlateau(on="plateau", metric=str(GAIN), times=1), run, "chain", swept(run))
    with pytest.raises(NothingLeftToTrain):
        hook.on_train_begin(TrainingArguments(), TrainerState(global_step=2, max_steps=8), TrainerControl())
    assert run.folder.facts()["early_stop"]["step"] == 2


@pytest.mark.parametrize(("swept_step", "stops"), [(2, True), (None, False), (1, False)])
def test_only_a_sweep_of_this_step_can_end_a_run(swept_step: int | None, stops: bool, tmp_path: Path) -> None:
    """At every other step the rows cannot have changed since the answer before, and nobody is asked."""
    run, control = run_in(tmp_path), TrainerControl()
    put_rows(run.folder.sweeps, sweeps([0.2, 0.1]), SWEEP_KEY)
    hook = EarlyStopHook(StopOnPlateau(on="plateau", metric=str(GAIN), times=1), run, "chain", swept(run, swept_step))
    hook.on_step_end(TrainingArguments(), TrainerState(global_step=2, max_steps=8), control)
    assert control.should_training_stop is stops


STOPPING = (
    "early_stop={on: plateau, metric: sweep/chain/accuracy, times: 1, min_rise: 1.0}",
    "sweep.every_steps=2",
    "keep_best=sweep/chain/accuracy",
    "trainer.save_steps=1",
    "trainer.save_total_limit=1",
)


@pytest.fixture(scope="module")
def stopped(here: Callable[..., Path]) -> Path:
    """No accuracy rises by 1, so the second sweep, at step 4 of 8, ends the run."""
    return here("lora", *STOPPING)


@pytest.mark.slow
def test_the_sweep_that_decides_is_the_last_one_and_is_saved_and_exported(stopped: Path) -> None:
    assert max(row["step"] for row in rows(stopped / "sweeps.jsonl")) == 4
    assert [row["step"] for row in rows(stopped / "metrics.jsonl")] == [1, 2, 3, 4]
    assert json.loads((stopped / "export" / "export_report.json").read_text())["checkpoint"] == "checkpoint-4"
    assert json.loads((stopped / "run.json").read_text())["early_stop"]["step"] == 4


@pytest.mark.slow
def test_a_stopped_run_that_is_started_again_trains_no_further(stopped: Path, cache: Path) -> None:
    assert run_here(small("lora", stopped, cache, "zero.stage=0", *STOPPING)) == 0
    assert [row["step"] for row in rows(stopped / "metrics.jsonl")] == [1, 2, 3, 4]


@pytest.mark.slow
def test_the_newest_and_the_best_checkpoint_stay(stopped: Path) -> None:
    best = json.loads((stopped / "run.json").read_text())["best"]
    value = {
        step: value
        for step, value in metric_values(rows(stopped / "sweeps.jsonl"), SweepMetric("chain", "accuracy")).items()
        if step > 0
    }
    assert (best["step"], best["value"]) == (max(value, key=lambda step: (value[step], -step)), max(value.values()))
    there = {int(path.parent.name.split("-")[1]) for path in stopped.glob("checkpoint-*/COMPLETE")}
    assert there == {4, best["step"]}


@pytest.mark.slow
def test_the_best_is_exported_on_demand(stopped: Path, tmp_path: Path) -> None:
    export([f"run={stopped}", f"out={tmp_path / 'out'}", "checkpoint=best"])
    step = json.loads((stopped / "run.json").read_text())["best"]["step"]
    assert json.loads((tmp_path / "out" / "export_report.json").read_text())["checkpoint"] == f"checkpoint-{step}"
    assert same(weights(tmp_path / "out"), weights(stopped / "export")) is (step == 4)
