"""Finished cells as arrays, from folders written by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recipes.errors import UserError
from tests.train.study.made_cells import UNPRUNED, finished, write_cell
from train.study.results import read_results, scale_of


def test_every_training_problem_by_problem(tmp_path: Path) -> None:
    results = read_results(finished(tmp_path, b=[(False, False), (False, True)]))
    assert (results.suite, results.budgets, results.problems) == ("chain", (4, 8), 2)
    assert [(arm.name, [each.seed for each in arm.trainings]) for arm in results.arms] == [("a", [1, 2]), ("b", [1, 2])]
    b = results.arms[1]
    assert b.values("level", "run", (4, 8)).tolist() == [[0, 1], [0, 1]]
    assert b.values("level", "unpruned", (4, 8)).tolist() == [[1, 1], [1, 1]]
    assert b.values("gain", "unpruned", (4, 8)).tolist() == [[1, 0], [1, 0]]
    assert b.values("termination", "run", (4, 8)).tolist() == [[0, 1], [0, 1]]
    assert b.values("thinking_off", "unpruned", (4, 8)).tolist() == [[0, 1], [0, 1]]


def test_what_a_training_took(tmp_path: Path) -> None:
    """100 tokens, of which 60 % are labelled; the level before the first step is the pruned model's."""
    training = read_results(finished(tmp_path)).arms[0].trainings[0]
    assert (training.tokens, training.labelled_tokens) == (100, 60)
    assert (training.seconds, training.sweep_seconds) == (4, 1)
    assert training.way == ((0.0, 0.0), (60.0, 1.0))


def test_seeds_may_be_chosen(tmp_path: Path) -> None:
    arm = read_results(finished(tmp_path)).arms[0]
    assert [each.seed for each in arm.of_seeds([2]).trainings] == [2]


def test_a_reference_that_cells_share_is_read_once(tmp_path: Path) -> None:
    first, second = (arm.trainings[0].answers["unpruned"] for arm in read_results(finished(tmp_path)).arms)
    assert first is second and np.array_equal(first.correct, np.array(UNPRUNED))


def test_a_samples_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    cell = finished(tmp_path)[0]
    file = cell.folder / "samples" / "chain" / "run-000010.jsonl"
    file.write_text(file.read_text().replace("true", "false"))
    with pytest.raises(UserError, match="run-000010.jsonl is damaged"):
        read_results([cell])


def test_cells_of_other_protocols_are_not_paired(tmp_path: Path) -> None:
    cells = finished(tmp_path)
    write_cell(cells[0], UNPRUNED, protocol="another")
    with pytest.raises(UserError, match="measured by different protocols"):
        read_results(cells)


def test_the_scale_of_a_number() -> None:
    assert scale_of("level", (4, 8, 16)) == 1.0 and scale_of("gain", (4, 8, 16)) == pytest.approx(0.5)
