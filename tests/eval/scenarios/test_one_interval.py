"""A gain has one interval: row, table, report, verdict line and `eval.verdict` show the same digits for one sweep."""

import json

import pytest

from eval.numbers.summary import sweep_rows
from eval.show.report import write_report
from eval.show.tables import gain_cell, sweep_table
from eval.types import Score, SuiteSweep
from eval.verdict import main
from recipes.sweep import VerdictSection
from tests.eval.numbers.made_models import BUDGETS, PRUNED, UNPRUNED, model_means

ACCURACIES = {"unpruned": UNPRUNED, "pruned": PRUNED, "run": (0.1, 0.28, 0.5, 0.8, 0.9)}


def _sweep(model, seed):
    means = model_means(ACCURACIES[model], 120, seed)
    scores = tuple(
        Score(f"p{p}", 0, budget, bool(means[p, k]), "7", "equal", budget, 3, True, False, False)
        for p in range(len(means))
        for k, budget in enumerate(BUDGETS)
    )
    return SuiteSweep(model, 0 if model != "run" else 10, "chain", BUDGETS, scores, "hash")


@pytest.fixture(scope="module")
def sweeps():
    return {model: _sweep(model, seed) for seed, model in enumerate(ACCURACIES)}


def _rows(sweeps, error):
    references = [row for model in ("unpruned", "pruned") for row in sweep_rows(sweeps[model], None, None, SECTION)]
    return references + sweep_rows(sweeps["run"], sweeps["unpruned"], sweeps["pruned"], SECTION, error)


SECTION = VerdictSection()


def _in_brackets(row):
    return f"{row['gain_per_doubling']:+.2f} [{row['gain_low']:+.2f}, {row['gain_high']:+.2f}]"


@pytest.mark.parametrize("error", [0.05, 0.025, 6e-4])
def test_table_report_and_verdict_line_show_the_interval_of_the_row(sweeps, error, tmp_path):
    rows = _rows(sweeps, error)
    cell = gain_cell(rows[-1])
    assert cell.replace("+.", "+0.").replace("-.", "-0.") == _in_brackets(rows[-1])
    table = sweep_table(rows, "chain")
    assert f"now {cell}" in table and _in_brackets(rows[-1]) in rows[-1]["verdict_line"]
    (tmp_path / "sweeps.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = write_report(tmp_path).read_text()
    assert page.count(cell) == 2 and rows[-1]["verdict_line"] in page  # by budget and by step
    named = [
        text for text in (table, page, rows[-1]["verdict_line"]) if "simultaneous over all sweeps of the run" in text
    ]
    assert len(named) == (3 if error < 0.05 else 0)


def test_a_wider_look_is_shown_as_wider_everywhere(sweeps):
    alone, look = (_rows(sweeps, error)[-1] for error in (0.05, 6e-4))
    assert look["gain_low"] < alone["gain_low"] and gain_cell(look) != gain_cell(alone)


def test_eval_verdict_gives_the_numbers_of_a_sweep_that_is_judged_alone(sweeps, tmp_path, capsys):
    grades = [
        {"model": name, "problem": s.problem, "sample": s.sample, "budget": s.budget, "correct": s.correct}
        for name, sweep in sweeps.items()
        for s in sweep.scores
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(grade) + "\n" for grade in grades))
    main([str(tmp_path / "rows.jsonl"), "--json"])
    report, rows = json.loads(capsys.readouterr().out), _rows(sweeps, 0.05)
    assert report["verdict"]["line"] == rows[-1]["verdict_line"]
    for model, summary in zip(ACCURACIES, (row for row in rows if row["budget"] is None), strict=True):
        keys = ("level", "gain_per_doubling", "gain_low", "gain_high", "total_gain", "total_low", "total_high")
        assert [report["models"][model][key] for key in keys] == [summary[key] for key in keys]
    at_largest = report["models"]["run"]["accuracy"][-1]
    assert (at_largest["low"], at_largest["high"]) == (rows[-2]["low"], rows[-2]["high"])
