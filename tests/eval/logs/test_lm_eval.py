"""Logs of lm-evaluation-harness, as it wrote them."""

import pytest

from eval.logs.lm_eval import is_lm_eval, read_lm_eval
from recipes.errors import UserError
from tests.eval.logs.golden_files import GOLDEN

SUMS, COLOURS = GOLDEN / "samples_sums.jsonl", GOLDEN / "samples_colours.jsonl"


def _grades(path, metric=None):
    return [(each.problem.split()[0], each.sample, each.correct) for each in read_lm_eval(path, metric)]


def test_generated_answers():
    # the dummy model says "lol", which is right once of three; the second filter's rows are not read twice
    assert _grades(SUMS) == [("0", 0, False), ("1", 0, True), ("2", 0, False)]


def test_another_filter_and_another_metric():
    assert _grades(SUMS, "exact_match,both") == _grades(SUMS)
    assert _grades(COLOURS, "acc_norm") == [("0", 0, False), ("1", 0, False), ("2", 0, True)]


def test_a_document_keeps_its_name_by_its_hash():
    assert next(read_lm_eval(COLOURS, None)).problem == "0 42245c8a50ee"


@pytest.mark.parametrize(
    ("metric", "says"),
    [("acc,best", "no rows of filter best"), ("bleu", "samples_colours.jsonl:1: no metric bleu; it has acc, acc_norm")],
)
def test_what_is_not_there_is_named(metric, says):
    with pytest.raises(UserError, match=says):
        _grades(COLOURS, metric)


def test_rows_of_another_kind_are_named(tmp_path):
    (tmp_path / "x.jsonl").write_text(SUMS.read_text() + '{"problem": 1}\n')
    with pytest.raises(UserError, match="x.jsonl:7: not a row of lm-evaluation-harness"):
        _grades(tmp_path / "x.jsonl")
    assert not is_lm_eval({"problem": 1}) and not is_lm_eval([])
