"""The tables of the report."""

from eval.show.sections import by_budget, endings, facts, half_recovered, style, sweep_costs, training
from tests.eval.show.made_rows import made_judged, made_rows


def test_one_line_per_budget_and_the_gains_below():
    table = by_budget(made_rows(budgets=(16, 1024)), "chain")
    assert table.head == ["thinking budget (tokens)", "unpruned", "pruned", "recovered"]
    assert [line[0] for line in table.lines] == ["16", "1,024"]
    assert table.lines[1][1:] == ["0.95 [.89, 1.0]", "0.20 [.14, .26]", "0.70 [.64, .76]"]
    assert table.foot == [["gain per doubling", "+0.19 [+.17, +.21]", "+0.04 [+.02, +.06]", "+0.14 [+.12, +.16]"]]


def test_how_thoughts_end():
    line = endings(made_rows(budgets=(16,)), "chain").lines[0]
    assert line == ["unpruned", "16", "13", "0.70", "0.05", "0.10", "0.5"]


def test_what_a_sweep_took_and_what_was_not_measured():
    rows = [row | {"seconds": 7.25, "peak_memory_bytes": None} for row in made_rows(run_steps=(5,))]
    assert sweep_costs(rows, "chain").lines == [["step 5", "7.2", "-"]]
    assert sweep_costs([row | {"seconds": None} for row in rows], "chain").lines == []


def test_facts_are_text_or_compact_json():
    assert facts({"a": "x", "b": [1, 2]}).lines == [["a", "x"], ["b", "[1, 2]"]]
    assert facts(None).lines == facts("text").lines == []


def test_training_that_was_not_logged_has_no_lines():
    assert training([], {}).lines == []


def test_sweeps_that_were_left_out_are_shown():
    record = {"sweeps_left_out": {"max_share": 0.2, "steps": [40, 60]}}
    assert training([], record).lines == [
        ["sweeps left out", "2 (steps 40, 60), which would have taken more than 20 % of the time"]
    ]
    assert training([], {"sweeps_left_out": {"max_share": 0.2, "steps": []}}).lines == []


def test_when_half_of_each_loss_was_recovered():
    lines = {line[0]: line[-1] for line in half_recovered(made_rows(run_steps=(0, 5, 8, 10)), "chain").lines}
    assert lines["level"] == "step 8"  # 0.2 + 0.05 * 8 = 0.60 is past (0.2 + 0.95) / 2
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
