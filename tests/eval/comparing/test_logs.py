"""Logs of other tools in the place of runs."""

import pytest

from eval.comparing.logs import as_run, grades_of
from eval.logs.read import Log
from eval.numbers.statistics import accuracy_interval
from recipes.errors import UserError
from tests.eval.logs.golden_files import GOLDEN

EVAL, JSON, SUMS = GOLDEN / "small.eval", GOLDEN / "small.json", GOLDEN / "samples_sums.jsonl"


def test_the_budgets_of_a_name_are_one_curve():
    grades, said = grades_of([Log("a", 1024, EVAL), Log("a", 512, JSON)], None)
    # of the json log's one epoch add is right alone; of the other's two each problem is right once
    assert (grades["a"].problems, grades["a"].budgets) == (("add", "colour", "odd"), (512, 1024))
    assert grades["a"].means.tolist() == [[1, 0.5], [0, 0.5], [0, 0.5]] and said == []


def test_problems_that_one_log_lacks_are_left_out_and_counted(tmp_path):
    short = tmp_path / "short.jsonl"
    short.write_text("".join(SUMS.read_text().splitlines(keepends=True)[:2]))
    grades, said = grades_of([Log("a", 8, SUMS), Log("a", 16, short)], None)
    assert len(grades["a"].problems) == 2 and said == ["a: 1 problems are left out, since some of its logs lack them"]


def test_a_run_of_which_only_grades_are_known():
    run = as_run("a", grades_of([Log("a", 512, EVAL), Log("a", 1024, JSON)], None)[0]["a"])
    assert [row["accuracy"] for row in run.final] == pytest.approx([1 / 2, 1 / 3])
    assert run.summary["gain_per_doubling"] == pytest.approx(-1 / 6) and run.budgets == (512, 1024)
    low, high = accuracy_interval(grades_of([Log("a", 8, JSON)], None)[0]["a"].means[:, 0])
    assert (run.final[1]["low"], run.final[1]["high"]) == (low, high)


@pytest.mark.parametrize(
    ("logs", "says"),
    [
        ([Log("a", 8, EVAL), Log("a", 8, JSON)], "a: a budget is given twice"),
        ([Log("a", 8, EVAL), Log("b", 16, EVAL)], r"b has logs at \[16\], a at \[8\]; compare at the same budgets"),
        ([Log("a", 8, EVAL), Log("a", 16, SUMS)], "a: its logs have no problem in common"),
    ],
)
def test_logs_that_cannot_be_compared(logs, says):
    with pytest.raises(UserError, match=says):
        grades_of(logs, None)
