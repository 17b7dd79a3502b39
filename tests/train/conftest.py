"""The expensive runs, each done once for all tests that look at it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.train.cells import ON_ONE_RANK, ON_TWO_RANKS, launch_cells
from tests.train.runs import SCRIPT, launch, run_here, small
from tests.train.starts import completed_ranks

Factory = pytest.TempPathFactory


@pytest.fixture(scope="session")
def cache(tmp_path_factory: Factory) -> Path:
    """Reference sweeps, shared by all runs."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def here(tmp_path_factory: Factory, cache: Path) -> Callable[..., Path]:
    """Does a small run without DeepSpeed in this process and gives its folder."""

    def run(recipe: str, *overrides: str) -> Path:
        folder = tmp_path_factory.mktemp("here") / "run"
        assert run_here(small(recipe, folder, cache, "zero.stage=0", *overrides)) == 0
        return folder

    return run


@pytest.fixture(scope="session")
def two_ranks(tmp_path_factory: Factory, cache: Path) -> Callable[..., Path]:
    """Does a small run of 2 ranks x micro batch 4, in a new or a given folder."""

    def run(recipe: str, *overrides: str, folder: Path | None = None) -> Path:
        folder = folder or tmp_path_factory.mktemp("two") / "run"
        arguments = small(recipe, folder, cache, "trainer.per_device_train_batch_size=4", *overrides)
        return recorded(completed_ranks([SCRIPT, *arguments], folder.parent, 2), folder)

    return run


def recorded(done: subprocess.CompletedProcess[str], folder: Path) -> Path:
    """The folder of a run that ended well, with what it printed beside it."""
    assert done.returncode == 0, done.stderr[-2000:]
    (folder.parent / "out.txt").write_text(done.stdout)
    (folder.parent / "err.txt").write_text(done.stderr)
    return folder


def cut_back(folder: Path, to: Path, step: int) -> Path:
    """A copy of a run as it was right after the checkpoint of `step`, with the next checkpoint half written."""
    shutil.copytree(folder, to)
    for later in to.glob("checkpoint-*"):
        if int(later.name.split("-")[1]) > step:
            (later / "COMPLETE").unlink()
            (later / "trainer_state.json").unlink()
    shutil.rmtree(to / "export")
    return to


@pytest.fixture(scope="session")
def lora(here: Callable[..., Path]) -> Path:
    return here("lora", "run.report=end")  # the figure of its card is looked at


@pytest.fixture(scope="session")
def full(here: Callable[..., Path]) -> Path:
    return here("full")


@pytest.fixture(scope="session")
def full_zero2(tmp_path_factory: Factory, cache: Path) -> Path:
    """The one of these that DeepSpeed's launcher starts."""
    folder = tmp_path_factory.mktemp("launched") / "run"
    arguments = small("full", folder, cache, "trainer.per_device_train_batch_size=4", "zero.stage=2")
    return recorded(launch(arguments, folder.parent, 2), folder)


@pytest.fixture(scope="session")
def lora_zero3(two_ranks: Callable[..., Path]) -> Path:
    return two_ranks("lora", "zero.stage=3")


@pytest.fixture(scope="session")
def full_zero3(two_ranks: Callable[..., Path]) -> Path:
    return two_ranks("full", "zero.stage=3", "trainer.max_steps=4")


@pytest.fixture(scope="session")
def lora_zero2(two_ranks: Callable[..., Path]) -> Path:
    """Ends by epochs: 24 traces in global batches of 2 ranks x 4 x 2 accumulated = 2 steps an epoch, 3 in 1.5."""
    return two_ranks(
        "lora",
        "zero.stage=2",
        "trainer.max_steps=-1",
        "trainer.num_train_epochs=1.5",
        "trainer.gradient_accumulation_steps=2",
        "data.traces.size=24",
        "trainer.save_total_limit=1",
        "trainer.save_steps=2",
    )


@pytest.fixture(scope="session")
def full_zero2_resumed(full_zero2: Path, two_ranks: Callable[..., Path], tmp_path_factory: Factory) -> Path:
    folder = cut_back(full_zero2, tmp_path_factory.mktemp("resumed") / "run", 4)
    return two_ranks("full", "zero.stage=2", folder=folder)


@pytest.fixture(scope="session")
def lora_zero3_resumed(lora_zero3: Path, two_ranks: Callable[..., Path], tmp_path_factory: Factory) -> Path:
    folder = cut_back(lora_zero3, tmp_path_factory.mktemp("resumed") / "run", 4)
    return two_ranks("lora", "zero.stage=3", folder=folder)


@pytest.fixture(scope="session")
def cell_of(tmp_path_factory: Factory, cache: Path) -> Callable[[int, str], Path]:
    """The folder of a cell of the matrix, on one rank or on two; all cells of as many ranks are run in one launch."""
    roots: dict[int, Path] = {}

    def folder(ranks: int, name: str) -> Path:
        if ranks not in roots:
            roots[ranks] = tmp_path_factory.mktemp(f"matrix{ranks}")
            launch_cells(ON_TWO_RANKS if ranks == 2 else ON_ONE_RANK, roots[ranks], cache, ranks)
        return roots[ranks] / name

    return folder
