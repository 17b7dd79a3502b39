"""Details of lighteval, as its own tracker wrote them."""

import pyarrow
import pytest
from pyarrow import parquet

from eval.logs.lighteval import read_lighteval
from recipes.errors import UserError
from tests.eval.logs.golden_files import GOLDEN

DETAILS = GOLDEN / "details_small.parquet"


def _grades(path, metric=None):
    return [(each.problem.split()[0], each.sample, each.correct) for each in read_lighteval(path, metric)]


def test_a_mean_over_two_answers_is_two_thoughts():
    assert _grades(DETAILS) == [
        ("0", 0, True), ("0", 1, False), ("1", 0, True), ("1", 1, True), ("2", 0, False), ("2", 1, False)]  # fmt: skip


def test_a_majority_is_one_thought():
    assert _grades(DETAILS, "maj@n:n=2") == [("0", 0, True), ("1", 0, True), ("2", 0, False)]


def _details(path, metric, texts):
    row = {"doc": {"id": "4", "query": "?"}, "metric": metric, "model_response": {"text": texts}}
    parquet.write_table(pyarrow.Table.from_pylist([row]), path)
    return path


@pytest.mark.parametrize(
    ("metric", "texts", "correct"),
    [
        ({"em": 1.0}, ["a"], [True]),
        ({"pass@k:k=1&n=3": 2 / 3}, ["a", "b", "c"], [True, True, False]),
        ({"pass@k:k=4&n=4": 1.0}, ["a", "b", "c", "d"], [True]),  # one of four was right, or more: which is not said
    ],
)
def test_metrics_of_several_answers(tmp_path, metric, texts, correct):
    assert [each[2] for each in _grades(_details(tmp_path / "x.parquet", metric, texts))] == correct


@pytest.mark.parametrize("value", [0.3, 1.5, -0.5])
def test_a_mean_that_so_many_answers_cannot_have(tmp_path, value):
    with pytest.raises(UserError, match="is not a mean of 2 answers"):
        _grades(_details(tmp_path / "x.parquet", {"avg@n:n=2": value}, ["a", "b"]))


def test_another_file_is_named(tmp_path):
    parquet.write_table(pyarrow.table({"a": [1]}), tmp_path / "x.parquet")
    with pytest.raises(UserError, match="not the details of lighteval, which have the columns doc, metric"):
        _grades(tmp_path / "x.parquet")
