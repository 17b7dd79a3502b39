"""The chart of budgets, and the tables of sweeps and of problems."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data_prep.grading.grade import Grade
from data_prep.problem import Problem
from eval.kept_sweep import Place
from eval.samples import GradedAnswer, GradedThought, write_samples
from eval.types import Stop
from tests.train.test_tracked_values import sweep
from train.tracked_tables import MOST_CHARACTERS, PROBLEMS, budget_lines, problem_table, sweep_table, thought_cells

ROWS = [*sweep("pruned", 0, 0.3), *sweep("unpruned", 0, 1.0), *sweep("run", 8, 0.9), *sweep("run", 4, 0.5)]


def thought(problem: str, text: str = "hm", stop: Stop = "close", finished: bool = True, sample: int = 0) -> Any:
    answers = [
        GradedAnswer((16,), 16, 1, True, False, "first", Grade(False, "first", "")),
        GradedAnswer((32,), 32, 1, finished, False, "7", Grade(True, "7", "")),
    ]
    return GradedThought(problem, sample, stop, 0, text, tuple(answers))


def samples(folder: Path, which: Any, step: int, thoughts: list[GradedThought]) -> None:
    file = Place(folder, which, step).file("chain")
    file.parent.mkdir(parents=True, exist_ok=True)
    write_samples(file, {"header": True}, thoughts)


def test_the_chart_has_a_line_for_each_sweep_after_the_references() -> None:
    lines = budget_lines(ROWS, "chain")
    assert lines.names == ["unpruned", "pruned", "step 4", "step 8"]
    assert lines.budgets == [[16, 32]] * 4
    assert lines.accuracies == [[0.25, 1.0], [0.25, 0.3], [0.25, 0.5], [0.25, 0.9]]


def test_the_chart_grows_with_the_sweeps() -> None:
    assert budget_lines(ROWS[:-3], "chain").names == ["unpruned", "pruned", "step 8"]


def test_the_table_has_a_row_for_each_sweep_of_each_suite() -> None:
    table = sweep_table([*ROWS, *sweep("run", 8, 0.8, suite="other")])
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.data]
    assert [(row["suite"], row["model"], row["step"], row["level"]) for row in rows] == [
        ("chain", "unpruned", 0, 1.0),
        ("chain", "pruned", 0, 0.3),
        ("chain", "run", 4, 0.5),
        ("chain", "run", 8, 0.9),
        ("other", "run", 8, 0.8),
    ]
    assert (rows[3]["verdict"], rows[3]["verdict_score"], rows[3]["acc@b16"]) == ("PARTIAL", 2, 0.25)
    assert rows[0]["verdict"] is None


def test_problems_stand_side_by_side(tmp_path: Path) -> None:
    samples(tmp_path, "unpruned", 0, [thought("b", "as before"), thought("a", "first")])
    samples(tmp_path, "run", 8, [thought("a", "now", sample=1), thought("a", "now too")])
    problems = [Problem("a", "1+1?", "2"), Problem("b", "1+2?", "3")]
    table = problem_table(tmp_path, "chain", problems, 8)
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.data]
    assert [(row["problem"], row["question"], row["gold"]) for row in rows] == [("a", "1+1?", "2"), ("b", "1+2?", "3")]
    assert (rows[0]["unpruned"], rows[0]["unpruned correct"]) == ("first\n\n7", True)
    assert rows[0]["recovered"] == "now too\n\n7"  # the first thought of the problem
    assert (rows[0]["pruned"], rows[0]["pruned correct"]) == (None, None)  # nothing is there


def test_a_table_of_problems_is_short(tmp_path: Path) -> None:
    problems = [Problem(str(number), "?", "1") for number in range(PROBLEMS + 5)]
    assert len(problem_table(tmp_path, "chain", problems, 8).data) == PROBLEMS


def test_a_cut_is_marked_where_it_is() -> None:
    assert thought_cells(thought("a", stop="budget")) == ["hm [cut at 32 tokens]\n\n7", True]
    assert thought_cells(thought("a", stop="loop", finished=False)) == [
        "hm [stopped: it loops]\n\n7 [answer truncated]",
        True,
    ]


def test_a_long_thought_says_what_is_left_out() -> None:
    text = str(thought_cells(thought("a", "x" * (MOST_CHARACTERS + 7)))[0])
    assert "[… 7 characters left out …]" in text


def test_control_characters_of_a_model_are_written_out() -> None:
    assert thought_cells(thought("a", "\x1b[2Jgone\u202e"))[0] == "\\x1b[2Jgone\\u202e\n\n7"


def test_a_missing_thought_says_why() -> None:
    assert thought_cells(GradedThought("a", 0, "budget", 0, "", (), "timed out")) == ["[missing: timed out]", None]


def test_a_verdict_in_the_table_is_read_with_what_it_leaves_open() -> None:
    rows = [row | ({"verdict_at_least": True} if row["budget"] is None else {}) for row in sweep("run", 8, 0.8)]
    table = sweep_table(rows)
    assert table.data[0][table.columns.index("verdict")] == "at least PARTIAL; RETURNED undecided"
