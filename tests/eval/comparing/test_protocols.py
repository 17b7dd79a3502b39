"""Runs of several protocols are refused, with what differs."""

from dataclasses import replace

import pytest

from eval.comparing.protocols import check_protocols
from recipes.errors import UserError
from tests.eval.comparing.made_runs import read_made

SWEEP = {
    "budgets": [8, 16, 32, 64, 128],
    "samples": 2,
    "temperature": 0.6,
    "every_steps": 5,
    "engine": {"name": "hf", "batch_size": 8},
    "suites": [{"name": "shallow", "size": 9}, {"name": "chain", "size": 40}],
}


def _record(**changed):
    return {"recipe": {"sweep": SWEEP | changed}, "versions": {"transformers": "5.23", "wandb": changed.get("w", "1")}}


def test_one_protocol_passes(tmp_path):
    one = read_made(tmp_path / "one", _record())
    check_protocols([one, read_made(tmp_path / "two", _record(every_steps=9, engine={"name": "hf", "batch_size": 4}))])


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (
            {"samples": 4, "temperature": 1.0},
            "sweep.samples 4 instead of 2; sweep.temperature 1.0 instead of 0.6; compare",
        ),
        ({"engine": {"name": "vllm"}}, "sweep.engine vllm instead of hf; compare"),
        ({"suites": [{"name": "chain", "size": 80}]}, "suite.size 80 instead of 40; compare"),
        ({"w": "2"}, "the suite's problems, or the versions of engine or grader, differ; compare"),
    ],
)
def test_what_differs_is_named(tmp_path, changed, says):
    runs = [read_made(tmp_path / "one", _record()), read_made(tmp_path / "two", _record(**changed), protocol="another")]
    with pytest.raises(UserError) as refused:
        check_protocols(runs)
    assert str(refused.value).startswith("two was not measured by the protocol of one on chain: ")
    assert says in str(refused.value)


def test_a_reference_of_another_protocol_is_named(tmp_path):
    run = read_made(tmp_path / "one", _record())
    rows = tuple(row | ({"protocol": "old"} if row["model"] == "pruned" else {}) for row in run.rows)
    with pytest.raises(UserError, match="the pruned model of one was not measured by the protocol of one on chain"):
        check_protocols([replace(run, rows=rows)])


def test_budgets_are_named_without_a_record(tmp_path):
    runs = [read_made(tmp_path / "one"), read_made(tmp_path / "two", budgets=(8, 16))]
    with pytest.raises(UserError, match=r"budgets \[8, 16\] instead of \[8, 16, 32, 64, 128\]; compare"):
        check_protocols(runs)


def test_suites_are_like_with_like(tmp_path):
    with pytest.raises(
        UserError, match="other is judged on suite 'else', one on 'chain'; compare runs on the same suite"
    ):
        check_protocols([read_made(tmp_path / "one"), read_made(tmp_path / "other", suite="else")])
