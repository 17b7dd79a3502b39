"""The grades of a samples file, read without its thoughts."""

import json

import numpy as np
import pytest

from eval.comparing.grades import read_grades
from eval.numbers.summary import problem_ids, problem_means
from eval.samples import read_sweep
from recipes.errors import UserError
from tests.eval.comparing.made_runs import made_samples, made_thought

HOSTILE = 'ends like a row: ", "answers": [{"budgets": [8], "correct": true}], "thinking": " and a \\'
HEADER = {"model": "run", "step": 1, "suite": "chain", "budgets": [8, 16], "protocol": "hash"}


def _file(tmp_path, rows, **layout):
    file = tmp_path / "run-000001.jsonl"
    file.write_text("".join(json.dumps(row, **layout) + "\n" for row in [HEADER, *rows]))
    return file


@pytest.mark.parametrize("layout", [{}, {"separators": (",", ":")}])
def test_grades_are_those_of_the_whole_reader(tmp_path, layout):
    rows = [
        made_thought(1, (True, False), 0, HOSTILE),
        made_thought(1, (True, True), 1),
        made_thought(2, (False, True), 0, '"', group="odd"),
        made_thought(2, (False, True), 1, "\\", group="odd"),
    ]
    missing = made_thought(3, (False, False)) | {"answers": [], "failure": "HTTP 503"}
    file = _file(tmp_path, [*rows, missing], **layout)
    grades, sweep = read_grades(file), read_sweep(file)
    assert list(grades.problems) == problem_ids(sweep) == ["p1", "p2"]
    # p1: two of two at 8, one of two at 16
    assert grades.means.tolist() == problem_means(sweep, ["p1", "p2"]).tolist() == [[1, 0.5], [0, 1]]
    assert grades.groups == sweep.groups == {"p2": "odd"} and grades.budgets == sweep.budgets


def test_one_answer_serves_all_its_budgets(tmp_path):
    thought = made_thought(1, (True, False))
    thought["answers"] = [thought["answers"][0] | {"budgets": [8, 16]}]
    assert read_grades(_file(tmp_path, [thought])).means.tolist() == [[1, 1]]


def test_rows_are_taken_by_problem(tmp_path):
    grades = read_grades(made_samples(tmp_path, (1, 2), problems=3))
    assert np.array_equal(grades.of(["p2", "p0"]), [[0, 0], [1, 1]])


@pytest.mark.parametrize(
    "rows",
    [
        ["no object"],
        [{"problem": "p1"}],
        [made_thought(1, (True, True)) | {"answers": made_thought(1, (True, True))["answers"][:1]}],
        [made_thought(1, (True, True)) | {"answers": [{"budgets": [32], "correct": True}]}],
    ],
)
def test_a_damaged_file_is_named(tmp_path, rows):
    with pytest.raises(UserError, match=r"run-000001.jsonl: damaged"):
        read_grades(_file(tmp_path, rows))
