"""The report: self-contained, escaped, and honest about what is missing."""

import json
import re

import pytest

from eval.show.report import report_page, write_report
from recipes.errors import UserError
from tests.eval.show.made_rows import by_likelihood, made_rows, made_thought, write_thoughts

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
    assert path == run_dir / "report.html" and page.startswith("<!doctype html>")
    for text in (
        "PARTIAL: gain &lt;b&gt;",
        "0.70 [.64, .76]",
        "undefined: the pruned model is not measurably worse here",
        "0.50 [0.40, 0.60]",
        "0.67 [0.55, 0.80]",
        "0.74 [0.60, ..]",
        '<th scope="row">128</th><td>0.95</td><td>1.5 [1.2, ..]</td>',
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
    drawn = re.findall('<svg [^>]*aria-labelledby="([^" ]*)-title ', page)
    assert drawn[0] == "accuracy-budget-1" and len(set(drawn)) == len(drawn) == 11
    assert sorted(file.name for file in (run_dir / "figures").iterdir()) == [
        "accuracy_by_budget.png",
        "accuracy_by_tokens_spent.png",
        "accuracy_by_total_tokens.png",
        "way_back.png",
    ]


def test_thinking_off_and_likelihood_are_shown(tmp_path):
    rows = by_likelihood() + made_rows(budgets=(0, 16, 1024))
    (tmp_path / "sweeps.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = report_page(tmp_path)
    assert '<tr><th scope="row">off</th><td>0.32 [.26, .38]</td>' in page and '<th scope="row">1,024</th>' in page
    assert "<td>off</td><td>0</td><td>0.70</td>" in page
    assert '<th scope="row">mmlu</th><td>by likelihood</td><td>.25</td><td>0.95' in page


def test_thinking_off_alone_has_no_termination(tmp_path):
    """With budget 0 alone nothing is thought: level, gain and termination are undefined."""
    undefined = dict.fromkeys(
        ("level", "base", "gain_per_doubling", "gain_low", "gain_high", "total_gain", "termination")
    )
    rows = [row | (undefined if row["budget"] is None else {}) for row in made_rows(budgets=(0,))]
    (tmp_path / "sweeps.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = report_page(tmp_path)
    assert '<th scope="row">step 10</th><td>-</td><td>0.70 [.64, .76]</td><td>-</td><td>-</td><td>0.05</td>' in page


def test_the_report_escapes_and_loads_nothing(run_dir):
    page = report_page(run_dir)
    assert page.count("<script") == 1 and "&lt;script&gt;alert(1)" in page
    assert "http://" not in page and "https://" not in page and "<link" not in page


def test_an_empty_folder_has_no_section_and_names_what_is_not_measured(tmp_path):
    page = report_page(tmp_path)
    assert "Verdict: not measured" in page and "<svg" not in page and "<h2" not in page
    assert "Not measured and therefore not shown: Accuracy by thinking budget," in page


def test_references_alone(tmp_path):
    (tmp_path / "sweeps.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made_rows(run_steps=())))
    (tmp_path / "run.json").write_text('{"id": ')
    page = report_page(tmp_path)
    assert page.count('<svg viewBox="0 0 640') == 4 and "Verdict: not measured" in page and "not readable" in page


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
    page = report_page(run_dir)
    assert "Step 4 confirmed on 40 problems that no sweep saw (chain-confirm), evaluated once: PARTIAL: so" in page
    assert "Confirmed on problems that no sweep saw" in page and "0.40 [.34, .46]" in page


def test_a_best_checkpoint_that_is_not_confirmed_is_named_so(run_dir):
    best = {"recipe": {"keep_best": "sweep/chain/gain"}, "best": {"step": 10}}
    (run_dir / "run.json").write_text(json.dumps(best))
    page = report_page(run_dir)
    assert "Step 10: Best of 2 sweeps by sweep/chain/gain, uncorrected" in page
    assert "Confirmed on problems that no sweep saw</h2>" not in page


def test_a_broken_line_is_named(run_dir):
    (run_dir / "metrics.jsonl").write_text("{}\n{broken\n")
    with pytest.raises(UserError, match="metrics.jsonl:2"):
        report_page(run_dir)


def test_thoughts_stand_side_by_side_under_their_question(run_dir):
    for model, step, grades in (("unpruned", 0, "11"), ("pruned", 0, "00"), ("run", 10, "01")):
        write_thoughts(run_dir, model, step, [made_thought("p1", grades, f"{EVIL} of {model}")])
    asked = {"suite": "chain", "id": "p1", "question": "2 + 2 < 5?", "answer": "yes"}
    (run_dir / "problems.jsonl").write_text(json.dumps(asked) + "\n")
    page = report_page(run_dir)
    assert '<details class="problem" data-unpruned="11" data-pruned="00" data-run="01">' in page
    assert "2 + 2 &lt; 5?" in page and page.count("&lt;script&gt;alert(1)&lt;/script&gt; of ") == 3
    assert '<option value="pruned0 run1">right now, wrong when pruned</option>' in page


def test_a_damaged_file_of_thoughts_stops_no_report(run_dir):
    write_thoughts(run_dir, "run", 10, [{"problem": "p1"}])
    assert "run-000010.jsonl is damaged, not the samples file of a sweep" in report_page(run_dir)


def test_a_page_stays_under_three_megabytes_whatever_a_run_holds(tmp_path):
    long = made_rows(run_steps=range(0, 1200, 10), budgets=tuple(2**power for power in range(4, 12)))
    (tmp_path / "sweeps.jsonl").write_text("".join(json.dumps(row) + "\n" for row in long))
    metrics = [{"step": step, "loss": 1.0, "learning_rate": 1e-4, "tokens_per_second": 5.0} for step in range(2000)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in metrics))
    for model, step in (("unpruned", 0), ("pruned", 0), ("run", 1190)):
        write_thoughts(tmp_path, model, step, [made_thought(f"p{n}", "11", "<\u202e" * 3000) for n in range(30)])
    assert 1_000_000 < len(report_page(tmp_path).encode()) < 3_000_000
