"""Going on with another number of ranks: the batch arithmetic by hand, refusals, and the losses of real runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from recipes.errors import UserError
from recipes.loader import load
from runtime.ranks import ALONE, Ranks
from runtime.run_folder import RunFolder
from tests.train.cells import GONE_ON, MATRIX, launch_cells
from tests.train.conftest import cut_back
from tests.train.runs import rows, small, weights
from train.elastic import fit_checkpoint, fit_ranks, same_global_batch
from train.opening import Resume

Cells = Callable[[int, str], Path]


@pytest.mark.parametrize(
    ("micro", "whole", "ranks", "found"),
    [(4, 8, 1, (4, 2)), (8, 8, 2, (4, 1)), (4, 24, 2, (4, 3)), (4, 24, 4, (3, 2)), (6, 16, 2, (4, 2))],
)
def test_the_global_batch_stays(micro: int, whole: int, ranks: int, found: tuple[int, int]) -> None:
    assert same_global_batch(micro, whole, ranks) == found


def test_ranks_that_do_not_divide_the_global_batch_are_refused() -> None:
    with pytest.raises(UserError, match=r"run.resume_ranks=any: a global batch of 8 is not divisible by 3 ranks"):
        same_global_batch(4, 8, 3)


def ranks_of(count: int) -> Ranks:
    return Ranks(rank=0, count=count, gather=lambda rows: rows)


def begun_on_two(folder: Path) -> RunFolder:
    run = RunFolder(folder)
    run.add_facts({"ranks": 2, "ranks_begun": 2})
    (folder / "checkpoint-2").mkdir()
    (folder / "checkpoint-2" / "COMPLETE").touch()
    return run


def resume_of(run: RunFolder) -> Resume:
    return Resume(run.checkpoint(2), run)


@pytest.mark.parametrize(
    ("given", "count", "batch"), [("same", 1, (4, 1)), ("any", 1, (4, 2)), ("any", 2, (4, 1)), ("any", 4, (2, 1))]
)
def test_only_a_run_that_may_changes_its_batch(given: str, count: int, batch: tuple[int, int], tmp_path: Path) -> None:
    recipe = load(
        small(
            "lora",
            tmp_path,
            tmp_path,
            f"run.resume_ranks={given}",
            "trainer.per_device_train_batch_size=4",
            "trainer.gradient_accumulation_steps=1",
        )
    )
    trainer = fit_ranks(resume_of(begun_on_two(tmp_path)), recipe, ranks_of(count)).trainer
    assert (trainer["per_device_train_batch_size"], trainer["gradient_accumulation_steps"]) == batch


def test_other_ranks_would_drop_other_batches_and_are_refused(tmp_path: Path) -> None:
    recipe = load(small("lora", tmp_path, tmp_path, "run.resume_ranks=any", "trainer.dataloader_drop_last=true"))
    with pytest.raises(UserError, match="with trainer.dataloader_drop_last=true"):
        fit_ranks(resume_of(begun_on_two(tmp_path)), recipe, ranks_of(1))


def test_a_run_that_has_changed_its_ranks_keeps_its_global_batch_when_it_goes_on_as_it_is(tmp_path: Path) -> None:
    run = begun_on_two(tmp_path)
    run.add_facts({"ranks": 1})  # it went on with one rank since, and does so again without asking
    recipe = load(small("lora", tmp_path, tmp_path, "trainer.per_device_train_batch_size=4"))
    assert fit_ranks(resume_of(run), recipe, ranks_of(1)).trainer["gradient_accumulation_steps"] == 2


def test_a_checkpoint_without_zero_is_refused_by_its_key(tmp_path: Path) -> None:
    run = begun_on_two(tmp_path)
    for rank in (0, 1):
        (tmp_path / "checkpoint-2" / f"rng_state_{rank}.pth").touch()
    with pytest.raises(UserError, match=r"run.resume_ranks=any: .*checkpoint-2 was written without ZeRO"):
        fit_checkpoint(resume_of(run), run, ALONE)


@pytest.fixture(scope="module")
def gone_on(cell_of: Cells, tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Cells:
    """The folder of a run that stopped after step 2 on so many ranks and went on with the other number."""
    roots: dict[int, Path] = {}

    def folder(begun: int, name: str) -> Path:
        if begun not in roots:
            roots[begun] = tmp_path_factory.mktemp(f"from{begun}")
            for each in GONE_ON:
                cut_back(cell_of(begun, each), roots[begun] / each, 2)
            batch = (f"trainer.per_device_train_batch_size={8 // begun}", "run.resume_ranks=any")
            launch_cells({each: MATRIX[each] for each in GONE_ON}, roots[begun], cache, 3 - begun, *batch)
        return roots[begun] / name

    return folder


@pytest.mark.slow
@pytest.mark.parametrize("begun", [1, 2])
@pytest.mark.parametrize("name", GONE_ON)
def test_losses_and_rates_are_those_of_the_uninterrupted_run(
    name: str, begun: int, gone_on: Cells, cell_of: Cells
) -> None:
    resumed, whole = (
        [
            (row["step"], row["loss"], row["learning_rate"], row["tokens"])
            for row in rows(run(begun, name) / "metrics.jsonl")
        ]
        for run in (gone_on, cell_of)
    )
    assert [list(row) for row in resumed] == [pytest.approx(row, rel=1e-5) for row in whole]


@pytest.mark.slow
@pytest.mark.parametrize("begun", [1, 2])
@pytest.mark.parametrize("name", GONE_ON)
def test_weights_are_those_of_the_uninterrupted_run(name: str, begun: int, gone_on: Cells, cell_of: Cells) -> None:
    resumed, whole = (weights(run(begun, name) / "checkpoint-4") for run in (gone_on, cell_of))
    assert max(float((resumed[key] - whole[key]).abs().max()) for key in whole) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("begun", [1, 2])
def test_the_copy_that_all_ranks_read_is_removed(begun: int, gone_on: Cells) -> None:
    assert [name for name in GONE_ON if (gone_on(begun, name) / ".universal").exists()] == []
