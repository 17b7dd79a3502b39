"""The report: self-contained, escaped, and honest about what is missing."""

import json

import pytest

from eval.numbers.summary import totals
from eval.show.report import came_back, style, training, write_report
from recipes.errors import UserError
from tests.eval.show.test_tables import by_likelihood, made_judged, made_rows

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def run_dir(tmp_path):
    (tmp_path / "sweeps.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made_rows(EVIL) + made_rows()))
    (tmp_path / "run.json").write_text(
        json.dumps({"id": EVIL, "prune_plan": {"removed": [3, 4]}, "versions": {"torch": "9.9"}})
    )
    (tmp_path / "recipe.yaml").write_text(f"# {EVIL}\nsweep:\n  suites: [{{name: other}}, {{name: chain}}]\n")
    metrics = [
        {"step": 1, "loss": 2.0, "tokens": 900, "seconds": 3, "sweep_seconds": 1},
        {"step": 2, "loss": 1.5, "tokens": 100, "seconds": 6},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in metrics))
    return tmp_path


def test_a_full_report(run_dir):
    path = write_report(run_dir)
    page = path.read_text()
    assert (path == run_dir / "report.html" and page.startswith("<!doctype html>")) or "<!doctype html>" in page
    for text in (
        "PARTIAL: gain &lt;b&gt;",
        "0.70 [.64, .76]",
        "undefined: no gap",
        "0.50 [0.40, 0.60]",
        "pass@2 0.80",
        "1,000",
        "10%",
        "[3, 4]",
        "9.9",
        "step 10",
        "miss with a chance of 2.5 % at this sweep, and with all other sweeps of the run",
        "<td>412</td><td>.70</td><td>.05</td><td>.31</td><td>.40</td><td>2.2</td>",
    ):
        assert text in page, text
    assert page.count("data:image/png;base64,") == 3 and "not measured" not in page
    assert sorted(file.name for file in (run_dir / "figures").iterdir()) == [
        "accuracy_by_budget.png",
        "accuracy_by_tokens_spent.png",
        "way_back.png",
    ]


def test_thinking_off_and_control_and_likelihood_are_shown(tmp_path):
    rows = by_likelihood() + made_rows(budgets=(0, 16, 1024))
    (tmp_path / "sweeps.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = write_report(tmp_path).read_text()
    assert "<tr><td>off</td><td>0.32 [.26, .38]</td>" in page and "<tr><td>1,024</td>" in page
    assert "<th>within budget</th>" in page and "<td>off</td><td>0</td><td>1.00</td>" in page
    assert "<td>mmlu</td><td>by likelihood</td><td>.25</td><td>0.95" in page


def test_thinking_off_alone_has_no_termination(tmp_path):
    """With budget 0 alone nothing is thought: level, gain and termination are undefined."""
    undefined = dict.fromkeys(("level", "gain_per_doubling", "gain_low", "gain_high", "total_gain", "termination"))
    rows = [row | (undefined if row["budget"] is None else {}) for row in made_rows(budgets=(0,))]
    (tmp_path / "sweeps.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = write_report(tmp_path).read_text()
    assert "<td>step 10</td><td>-</td><td>0.70 [.64, .76]</td><td>-</td><td>-</td><td>0.05</td>" in page


def test_the_report_escapes_and_loads_nothing(run_dir):
    page = write_report(run_dir).read_text()
    assert "<script" not in page and "&lt;script&gt;alert(1)" in page
    assert "http://" not in page and "https://" not in page and "<link" not in page


def test_an_empty_folder_says_not_measured(tmp_path):
    page = write_report(tmp_path).read_text()
    assert page.count("not measured") > 10 and "data:image" not in page


def test_references_alone(tmp_path):
    (tmp_path / "sweeps.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made_rows(run_steps=())))
    (tmp_path / "run.json").write_text('{"id": ')
    page = write_report(tmp_path).read_text()
    assert page.count("data:image") == 2 and "Verdict: not measured" in page and "not readable" in page


def test_a_broken_line_is_named(run_dir):
    (run_dir / "metrics.jsonl").write_text("{}\n{broken")
    with pytest.raises(UserError, match="metrics.jsonl:2"):
        write_report(run_dir)


def test_totals_count_a_repeated_step_once():
    assert totals([{"step": 1, "tokens": 5}, {"step": 2, "tokens": 7}, {"step": 2, "tokens": 8, "seconds": None}]) == {
        "tokens": 13.0
    }
    assert training([], {}).lines == []


def test_sweeps_that_were_left_out_are_shown():
    record = {"sweeps_left_out": {"max_share": 0.2, "steps": [40, 60]}}
    assert training([], record).lines == [
        ["sweeps left out", "2 (steps 40, 60), which would have taken more than 20 % of the time"]
    ]
    assert training([], {"sweeps_left_out": {"max_share": 0.2, "steps": []}}).lines == []


def test_what_came_back_first():
    lines = {line[0]: line[-1] for line in came_back(made_rows(run_steps=(0, 5, 8, 10)), "chain").lines}
    assert lines["accuracy at the largest budget"] == "step 8"  # 0.2 + 0.05 * 8 = 0.60 is past (0.2 + 0.95) / 2
    assert lines["termination"] == "was not lost"


def test_style_has_a_line_a_model_and_step():
    rows = made_rows(run_steps=(0, 5))
    assert [line[0] for line in style(rows, "chain").lines] == ["unpruned", "pruned", "step 0", "step 5"]
    assert style([row | {"style": None} for row in rows], "chain").lines == []


def test_style_shows_the_judge_under_the_sweep_it_judged():
    rows = made_rows(run_steps=(5,))
    rows[-1]["style"]["judged"] = made_judged(missing=0)
    assert style(rows, "chain").lines[-1] == ["step 5, judged (wise, 98 thoughts)", *[""] * 5, *["12"] * 3]
    rows[-1]["style"]["judged"] = made_judged(missing=2)
    assert "2 of 100 thoughts missing, HTTP 503" in style(rows, "chain").lines[-1][0]
