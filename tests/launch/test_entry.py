"""The entry itself: which ways of starting there are, dry runs, and leaving when asked."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from recipes.loader import load_recipe
from tests.launch.models import without_weights
from tests.train.runs import SCRIPT, free_port, launch, plain, rows, run_here, same, small, weights
from tests.train.starts import start_rank, wait_until
from train.environment import share_cores
from train.opening import folder_name

TWO_STEPS = ("trainer.max_steps=2", "export.enabled=false")


@pytest.fixture(scope="module")
def plainly(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """Two steps under `python launch/train.py` with the recipe's own ZeRO stage, 2."""
    folder = tmp_path_factory.mktemp("plain") / "run"
    done = plain(small("full", folder, cache, *TWO_STEPS), folder.parent)
    assert done.returncode == 0, done.stderr[-1500:]
    return folder


@pytest.mark.slow
def test_plain_python_trains_under_zero_2(plainly: Path) -> None:
    assert (plainly / "checkpoint-2" / "global_step2").is_dir()


@pytest.mark.slow
def test_one_rank_through_the_launcher_gives_the_bits_of_plain_python(
    plainly: Path, tmp_path: Path, cache: Path
) -> None:
    done = launch(small("full", tmp_path / "run", cache, *TWO_STEPS), tmp_path, 1)
    assert done.returncode == 0, done.stderr[-1500:]
    assert same(*(weights(folder / "checkpoint-2") for folder in (plainly, tmp_path / "run")))


def test_a_dry_run_needs_no_weights_and_writes_nothing_but_the_prepared_set(tmp_path: Path) -> None:
    model = without_weights(tmp_path / "model")
    given = ("zero.stage=0", f"model.unpruned={model}", "dry_run=true")
    assert run_here(small("lora", tmp_path / "run", tmp_path / "cache", *given)) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "model"]
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["data"]


def test_a_dry_run_says_what_would_be_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_here(
        small("lora", tmp_path / "run", tmp_path / "cache", "zero.stage=0", "dry_run=true", "sweep.budgets=[0, 16]")
    )
    said = capsys.readouterr().out
    assert "global batch 8 traces = micro batch 8 × accumulation 1 × ranks 1" in said
    assert "format custom (a thought between '<think>' and '</think> '; '<eos>' ends an answer)" in said
    assert "sweep  budgets off, 16 tokens; problems: knowledge 8, shallow 8, chain 13" in said


def test_without_a_name_a_run_gets_that_of_its_recipe() -> None:
    folder = folder_name(load_recipe(["recipe=lora_recovery.yaml"]))
    assert str(folder).startswith("runs/lora_recovery-")


@pytest.mark.parametrize(
    ("environ", "threads"),
    [({}, "8"), ({"LOCAL_WORLD_SIZE": "2"}, "4"), ({"LOCAL_SIZE": "16"}, "1"), ({"OMP_NUM_THREADS": "3"}, "3")],
)
def test_ranks_share_the_cores_of_a_machine(environ: dict[str, str], threads: str) -> None:
    share_cores(environ, 8)
    assert environ["OMP_NUM_THREADS"] == threads


@pytest.mark.slow
def test_a_signal_to_one_rank_saves_on_all_and_leaves_with_75(tmp_path: Path, cache: Path) -> None:
    arguments = small(
        "full",
        tmp_path / "run",
        cache,
        "trainer.max_steps=4000",
        "trainer.save_steps=4000",
        "sweep.every_steps=2",
        "trainer.per_device_train_batch_size=4",
    )
    port = free_port()
    first, second = (start_rank(rank, port, [SCRIPT, *arguments], tmp_path) for rank in (0, 1))
    swept = tmp_path / "run" / "sweeps.jsonl"
    wait_until(lambda: swept.is_file() and '"step": 2' in swept.read_text())  # both train by now
    second.send(signal.SIGUSR1)
    assert (first.end().code, second.end().code) == (75, 75)
    (complete,) = (tmp_path / "run").glob("checkpoint-*/COMPLETE")
    assert rows(tmp_path / "run" / "metrics.jsonl")[-1]["step"] == json.loads(complete.read_text())["step"]
