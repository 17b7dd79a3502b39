"""The report: self-contained, escaped, and honest about what is missing."""

import json

import pytest

from eval.show.report import write_report
from recipes.errors import UserError
from tests.eval.show.made_rows import by_likelihood, made_rows

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
        "undefined: the pruned model is not measurably worse here",
        "0.50 [0.40, 0.60]",
        "0.67 [0.55, 0.80]",
        "0.74 [0.60, ..]",
        "<td>128</td><td>0.95</td><td>1.5 [1.2, ..]</td>",
        "pass@2 0.80",
        "1,000",
        "10%",
        "[3, 4]",
        "9.9",
        "step 10",
        "uses 97.5 % intervals; over all sweeps of the run the error rate is at most 5 %",
        "has the interval of the verdict (97.5 % interval, simultaneous",
        "<td>412</td><td>.70</td><td>.05</td><td>.31</td><td>.40</td><td>2.2</td>",
    ):
        assert text in page, text
    assert page.count("data:image/png;base64,") == 4 and "not measured" not in page
    assert sorted(file.name for file in (run_dir / "figures").iterdir()) == [
        "accuracy_by_budget.png",
        "accuracy_by_tokens_spent.png",
        "accuracy_by_total_tokens.png",
        "way_back.png",
    ]


def test_thinking_off_and_likelihood_are_shown(tmp_path):
    rows = by_likelihood() + made_rows(budgets=(0, 16, 1024))
    (tmp_path / "sweeps.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = write_report(tmp_path).read_text()
    assert "<tr><td>off</td><td>0.32 [.26, .38]</td>" in page and "<tr><td>1,024</td>" in page
    assert "<td>off</td><td>0</td><td>0.70</td>" in page
    assert "<td>mmlu</td><td>by likelihood</td><td>.25</td><td>0.95" in page


def test_thinking_off_alone_has_no_termination(tmp_path):
    """With budget 0 alone nothing is thought: level, gain and termination are undefined."""
    undefined = dict.fromkeys(
        ("level", "base", "gain_per_doubling", "gain_low", "gain_high", "total_gain", "termination")
    )
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
    assert page.count("data:image") == 3 and "Verdict: not measured" in page and "not readable" in page


def test_a_confirmation_stands_beside_the_verdict(run_dir):
    (run_dir / "confirmed").mkdir()
    rows = made_rows("chain-confirm", run_steps=(4,))
    (run_dir / "confirmed/sweeps.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    facts = {
        "step": 4,
        "kept": 4,
        "earlier": 0,
        "suite": "chain-confirm",
        "problems": 40,
        "verdict_line": "PARTIAL: so",
    }
    (run_dir / "run.json").write_text(json.dumps({"confirmed": facts}))
    page = write_report(run_dir).read_text()
    assert "Step 4 confirmed on 40 problems that no sweep saw (chain-confirm), looked at once: PARTIAL: so" in page
    assert "Confirmed on problems that no sweep saw" in page and "0.40 [.34, .46]" in page


def test_a_best_checkpoint_that_is_not_confirmed_is_named_so(run_dir):
    best = {"recipe": {"keep_best": "sweep/chain/gain"}, "best": {"step": 10}}
    (run_dir / "run.json").write_text(json.dumps(best))
    page = write_report(run_dir).read_text()
    assert "Step 10: Best of 2 sweeps by sweep/chain/gain, uncorrected" in page
    assert "Confirmed on problems that no sweep saw" not in page


def test_a_broken_line_is_named(run_dir):
    (run_dir / "metrics.jsonl").write_text("{}\n{broken\n")
    with pytest.raises(UserError, match="metrics.jsonl:2"):
        write_report(run_dir)
