"""The charts of a run's sweeps: which lines, which values, what is said below."""

from eval.show.sweep_charts import EARLIER_DRAWN, by_budget, by_step, by_tokens, others, parallel
from tests.eval.show.made_rows import by_likelihood, made_rows


def lines(chart):
    return {series.label: [(point.x, round(point.y, 3)) for point in series.points] for series in chart.series}


def test_accuracy_by_budget_has_the_newest_sweep_on_top_of_unpruned_and_pruned():
    chart = by_budget(made_rows(run_steps=(5, 10), budgets=(8, 16)), "chain")
    assert list(lines(chart)) == ["recovered, step 5", "unpruned", "pruned", "recovered, step 10"]
    assert lines(chart)["recovered, step 10"] == [(8, 0.35), (16, 0.7)]
    assert [series.band for series in chart.series] == [False, True, True, True] and chart.ticks == (8, 16)


def test_of_many_sweeps_some_are_drawn_and_the_others_counted():
    chart = by_budget(made_rows(run_steps=range(1, 15)), "chain")
    assert len(chart.series) == EARLIER_DRAWN + 3
    assert "3 earlier sweep(s) are not drawn" in " ".join(chart.notes)


def test_references_alone_and_nothing():
    assert list(lines(by_budget(made_rows(run_steps=()), "chain"))) == ["unpruned", "pruned"]
    assert by_budget([], "chain") is None and by_step(made_rows(run_steps=()), "chain") == []


def test_tokens_spent_lie_where_they_were_measured():
    spent, total = by_tokens(made_rows(budgets=(10, 20)), "chain")
    assert [x for x, _ in lines(spent)["unpruned"]] == [8, 16]
    assert [x for x, _ in lines(total)["unpruned"]] == [8.5, 16.5]
    older = [{key: value for key, value in row.items() if key != "total_tokens"} for row in made_rows()]
    assert len(by_tokens(older, "chain")) == 1


def test_other_suites_with_several_budgets_have_a_chart():
    rows = by_likelihood() + made_rows("shallow") + made_rows()
    assert [chart.title.split(":")[0] for chart in others(rows, "chain")] == ["shallow"]


def test_several_thoughts_have_a_line_for_each_model_over_k():
    rows = made_rows()
    rows[-1]["maj_at_k"] = [{"k": 1, "value": 0.5, "low": 0.4, "high": 0.6}, {"k": 2, "value": 0.6}]
    (chart,) = parallel(rows, "chain")
    assert lines(chart)["pruned, pass@k"] == [(1, 0.7), (2, 0.8)] and chart.ticks == (1, 2)
    assert lines(chart)["recovered, maj@k"] == [(1, 0.5), (2, 0.6)] and len(chart.series) == 4
    alone = [row | {"pass_at_k": None} for row in made_rows()]
    assert parallel(alone, "chain") == []


def test_recovery_begins_with_the_pruned_model_and_has_the_unpruned_one_as_levels():
    accuracy, gain, share, endings = by_step(made_rows(run_steps=(5, 10), budgets=(8, 16)), "chain")
    assert lines(accuracy)["16 tokens"] == [(0, 0.2), (5, 0.45), (10, 0.7)]
    assert {level.label: level.y for level in accuracy.levels} == {"unpruned, 16": 0.95, "unpruned, 8": 0.475}
    assert lines(gain)["recovered"] == [(0, 0.04), (5, 0.09), (10, 0.14)]
    assert lines(share)["recovered"] == [(5, 0.67), (10, 0.67)] and list(lines(endings)) == ["termination", "looping"]


def test_the_band_of_the_gain_is_named():
    simultaneous = by_step(made_rows(), "chain")[1].notes
    alone = [row | {"verdict_error": 0.05} if row.get("verdict_error") else row for row in made_rows()]
    assert simultaneous == ("Band: simultaneous over all sweeps of the run.",)
    assert by_step(alone, "chain")[1].notes == ("Band: 95 % intervals.",)


def test_differing_protocols_are_named():
    mixed = [row | {"protocol": "other999"} if row["model"] == "run" else row for row in made_rows()]
    assert "Not comparable" in by_budget(mixed, "chain").notes[0]


def test_a_number_that_is_not_defined_has_no_chart():
    undefined = dict.fromkeys(("gain_per_doubling", "termination", "level_share"))
    rows = [row | (undefined if row["budget"] is None else {}) for row in made_rows(budgets=(0,))]
    assert [chart.name for chart in by_step(rows, "chain")] == ["recovery-accuracy", "recovery-endings"]
