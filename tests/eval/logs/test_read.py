"""Which tool a log is of, and the rows it gives."""

from pathlib import Path

import pytest

from eval.logs.read import Log, check_budgets, complete_rows, log_rows, named_log, read_log
from recipes.errors import UserError
from tests.eval.logs.golden_files import GOLDEN


@pytest.mark.parametrize(
    ("file", "thoughts"),
    [
        ("samples_sums.jsonl", 3),
        ("samples_colours.jsonl", 3),
        ("small.eval", 6),
        ("small.json", 3),
        ("details_small.parquet", 6),
    ],
)
def test_the_tool_is_told_by_the_contents(file, thoughts):
    assert len(list(read_log(GOLDEN / file, None))) == thoughts


def test_an_argument_names_model_budget_and_file():
    assert named_log("my run@1024=logs/a=b.eval") == Log("my run", 1024, Path("logs/a=b.eval"))
    assert [named_log(text) for text in ("runs/a", "a=b", "@8=x", "a@x=y", "a@8=", "a@-1=x")] == [None] * 6


def test_thoughts_that_are_not_there_at_every_budget_are_counted():
    logs = [Log("run", 8, GOLDEN / "small.eval"), Log("run", 16, GOLDEN / "small.json")]
    rows, lost = complete_rows(logs, None)
    assert lost == 3 and {row["sample"] for _, row in rows} == {0} and len(rows) == 2 * 3
    assert check_budgets(logs) == [8, 16]


def test_rows_have_the_keys_of_the_verdict():
    (place, row), *_ = log_rows([Log("run", 512, GOLDEN / "small.eval")], None)
    assert row == {"model": "run", "budget": 512, "problem": "add", "sample": 0, "correct": True}
    assert place.endswith("small.eval")


@pytest.mark.parametrize("content", [b"", b"{}\n", b"[1]\n", b"\xff\xfe", b'{"problem": 1, "correct": true}\n'])
def test_other_files_are_refused_with_what_is_read(tmp_path, content):
    (tmp_path / "x.jsonl").write_bytes(content)
    with pytest.raises(UserError, match=r"x.jsonl: not a supported log; supported are samples_\*.jsonl"):
        read_log(tmp_path / "x.jsonl", None)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="none.eval: no such file; give a log as NAME@BUDGET=FILE"):
        read_log(tmp_path / "none.eval", None)
