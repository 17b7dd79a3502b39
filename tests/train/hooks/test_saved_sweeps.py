"""Sweeps in a process of their own: on saved weights, beside the training, with the numbers of the live ones."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from recipes.errors import UserError
from recipes.loader import load_recipe
from runtime.ranks import ALONE, Ranks
from tests.eval.worlds import nano_spec
from tests.runtime.threads import together
from tests.train.runs import rows, run_here, run_in, same, small, untimed, weights
from train.hooks.metrics import Clock
from train.hooks.recorder import Looks, SweepRecorder
from train.hooks.saved_sweeps import Job, SavedSweeps
from train.references import References

VLLM_PYTHON = os.environ.get("CHAINMEND_VLLM_PYTHON", "")
BACKGROUND = "sweep.background=true"
FEW = ("trainer.max_steps=4", "sweep.every_steps=2", "trainer.save_steps=2")


@pytest.fixture(scope="module")
def beside(here: Callable[..., Path]) -> Path:
    return here("lora", BACKGROUND, *FEW)


@pytest.mark.slow
def test_the_rows_are_those_of_live_sweeps(beside: Path, here: Callable[..., Path]) -> None:
    def by_key(folder: Path) -> dict[object, object]:
        return {
            (row["step"], row["model"], row["suite"], row["budget"]): row for row in untimed(folder / "sweeps.jsonl")
        }

    live = here("lora", *FEW)
    assert by_key(beside) == by_key(live)
    assert same(weights(beside / "checkpoint-4"), weights(live / "checkpoint-4"))


@pytest.mark.slow
def test_every_sweep_stands_at_its_own_step_with_its_samples(beside: Path) -> None:
    steps = {row["step"] for row in rows(beside / "sweeps.jsonl") if row["model"] == "run"}
    assert steps == {2, 4}
    assert sorted(file.name for file in (beside / "samples" / "chain").glob("run-*.jsonl")) == [
        "run-000002.jsonl",
        "run-000004.jsonl",
    ]


@pytest.mark.slow
def test_saved_weights_go_when_their_sweep_is_recorded(beside: Path) -> None:
    assert list((beside / "sweeping").iterdir()) == []


@pytest.mark.slow
def test_a_sweep_that_was_left_is_done_when_the_run_goes_on(beside: Path, tmp_path: Path, cache: Path) -> None:
    """The run was stopped after its last checkpoint, with the sweep of step 4 still to come."""
    run = shutil.copytree(beside, tmp_path / "run")
    expected = [row for row in untimed(run / "sweeps.jsonl") if row["step"] == 4]
    kept = [row for row in rows(run / "sweeps.jsonl") if row["step"] < 4]
    (run / "sweeps.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept))
    (run / "samples" / "chain" / "run-000004.jsonl").unlink()
    job = run / "sweeping" / "step-000004"
    shutil.copytree(run / "checkpoint-4", job / "weights")
    error = next(row["verdict_error"] for row in expected if row["budget"] is None and row["suite"] == "chain")
    (job / "job.json").write_text(json.dumps({"step": 4, "error": error}))
    assert run_here(small("lora", run, cache, "zero.stage=0", BACKGROUND, *FEW)) == 0
    assert [row for row in untimed(run / "sweeps.jsonl") if row["step"] == 4] == expected


@pytest.mark.slow
def test_two_ranks_with_shards_save_whole_weights_for_it(two_ranks: Callable[..., Path]) -> None:
    folder = two_ranks(
        "full", "zero.stage=3", "trainer.max_steps=2", "sweep.every_steps=2", "trainer.save_steps=2", BACKGROUND
    )
    live = two_ranks("full", "zero.stage=3", "trainer.max_steps=2", "sweep.every_steps=2", "trainer.save_steps=2")
    assert sorted(map(str, untimed(folder / "sweeps.jsonl"))) == sorted(map(str, untimed(live / "sweeps.jsonl")))


@pytest.mark.slow
@pytest.mark.skipif(
    not VLLM_PYTHON, reason="no vLLM: set CHAINMEND_VLLM_PYTHON to the python of an environment that has it"
)
@pytest.mark.parametrize("background", ["false", "true"])
def test_vllm_sweeps_the_adapters_that_a_run_saves(here: Callable[..., Path], background: str) -> None:
    engine = f"{{name: vllm, python: {VLLM_PYTHON}, cpu_cache_gib: 1, enforce_eager: true, max_sequences: 32}}"
    by_vllm, live = here("lora", *FEW, f"sweep.engine={engine}", f"sweep.background={background}"), here("lora", *FEW)
    accuracies = [
        {
            (row["step"], row["model"], row["suite"], row["budget"]): row["accuracy"]
            for row in rows(folder / "sweeps.jsonl")
            if row["budget"] is not None
        }
        for folder in (by_vllm, live)
    ]
    assert accuracies[0] == accuracies[1]


def left_behind(folder: Path, ranks: Ranks, background: bool) -> SavedSweeps:
    """A run with a job of step 2 that cannot be done, since its recipe is not there."""
    job = folder / "sweeping" / "step-000002"
    if ranks.rank == 0:  # which alone reads it
        job.mkdir(parents=True)
        (job / "job.json").write_text(json.dumps({"step": 2, "error": 0.05}))
    section = load_recipe(["recipe=lora_recovery.yaml", f"sweep.background={background}"]).recipe.sweep
    recorder = SweepRecorder(run_in(folder, ranks), References({}, {}), section.verdict, Looks(2, 8))
    return SavedSweeps(None, nano_spec([], [8]), section, recorder, Clock())


def test_where_training_waits_a_sweep_that_fails_ends_every_rank(tmp_path: Path) -> None:
    found = together(lambda ranks: left_behind(tmp_path, ranks, background=False).begin(4))
    assert [type(each) for each in found] == [UserError] * 2
    assert "the sweep of step 2 failed with code 2" in str(found[1])


def test_in_the_background_a_sweep_that_fails_ends_no_training(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sweeps = left_behind(tmp_path, ALONE, background=True)
    sweeps.begin(4)
    sweeps.wait()
    assert "the sweep of step 2 failed with code 2" in capfd.readouterr().err
    assert (tmp_path / "sweeping" / "step-000002" / "job.json").is_file()


def test_jobs_of_steps_that_are_trained_again_are_forgotten(tmp_path: Path) -> None:
    sweeps = left_behind(tmp_path, ALONE, background=True)
    sweeps.begin(1)
    assert sweeps.running is None
    assert not (tmp_path / "sweeping" / "step-000002").exists()


def test_an_endpoint_does_not_serve_what_is_trained(tmp_path: Path, cache: Path) -> None:
    arguments = small(
        "full",
        tmp_path / "run",
        cache,
        "zero.stage=0",
        "sweep.engine.name=server",
        "sweep.engine.url=http://127.0.0.1:9/v1",
        "sweep.engine.model=m",
    )
    with pytest.raises(UserError, match=r"sweep\.engine\.name=server: an endpoint does not serve the weights"):
        run_here(arguments)


def test_background_and_devices_are_keys_of_a_sweep() -> None:
    sweep = load_recipe(["recipe=lora_recovery.yaml", BACKGROUND, "sweep.devices='6,7'"]).recipe.sweep
    assert (sweep.background, sweep.devices) == (True, "6,7")


def test_the_thoughts_of_a_job_are_counted_in_its_journals_and_samples(tmp_path: Path) -> None:
    job = Job(tmp_path, 2)
    assert job.thoughts() == 0
    for name, lines in (("chain/run-000002.jsonl", 4), ("knowledge/run-000002.jsonl.journal-0.jsonl", 2)):
        file = job.samples / name
        file.parent.mkdir(parents=True)
        file.write_text("{}\n" * lines + "{")  # a header, thoughts, and the one that is being written
    assert job.thoughts() == 3 + 1
