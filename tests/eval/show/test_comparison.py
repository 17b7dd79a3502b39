"""Several runs on one page."""

from dataclasses import dataclass, field, replace

import pytest

from eval.numbers.summary import newest
from eval.show.chart import RUNS
from eval.show.comparison import MOST_BANDS, MOST_POINTS, along, by_step, comparison_page, look, parallel
from eval.show.curves import BUDGET
from tests.eval.show.made_rows import made_rows


@dataclass(frozen=True)
class Run:
    name: str
    rows: list
    suite: str = "chain"
    logged: tuple = ()
    record: dict = field(default_factory=dict)

    @property
    def summary(self):
        return newest(self.rows, "run", self.suite)[1]


@dataclass(frozen=True)
class Named:
    title: str
    heads: tuple
    lines: tuple
    notes: tuple = ()


@pytest.fixture
def runs():
    return [Run("a <b>", made_rows(run_steps=(5, 10))), Run("c", made_rows(run_steps=(5, 8)))]


def test_a_reference_that_runs_share_is_drawn_once(runs):
    assert [series.label for series in along(runs, "chain", BUDGET).series] == ["unpruned", "pruned", "a <b>", "c"]
    other = Run("d", [row | ({"accuracy": 0.5} if row["model"] == "pruned" else {}) for row in made_rows()])
    labels = [series.label for series in along([*runs, other], "chain", BUDGET).series]
    assert labels[:3] == ["unpruned", "pruned of a <b>", "pruned of d"]


def test_the_line_of_a_run_is_its_compared_sweep(runs):
    last = along(runs, "chain", BUDGET).series[-1]
    assert last.points[-1].y == pytest.approx(0.6) and [point.x for point in last.points] == [8, 16, 32, 64, 128]


def test_recovery_by_step_has_a_line_for_each_run(runs):
    level = next(chart for chart in by_step(runs) if chart.name == "steps-level")
    points = {series.label: [(point.x, round(point.y, 2)) for point in series.points] for series in level.series}
    assert points == {"a <b>": [(5, 0.45), (10, 0.7)], "c": [(5, 0.45), (8, 0.6)]}


def test_several_thoughts_have_a_line_for_each_run(runs):
    (chart,) = parallel(runs)
    assert [series.label for series in chart.series] == ["a <b>", "c"]
    assert [(point.x, point.y) for point in chart.series[0].points] == [(1, 0.7), (2, 0.8)]


def test_differing_protocols_are_named(runs):
    other = Run("d", made_rows(protocol="other999"))
    assert "Not comparable" in along([*runs, other], "chain", BUDGET).notes[0]


def test_many_runs_look_different_and_have_no_bands():
    assert len({look(place) for place in range(3 * len(RUNS))}) == 3 * len(RUNS)
    many = [Run(str(number), made_rows(run_steps=(5, 10))) for number in range(MOST_BANDS + 1)]
    assert not any(series.band for series in along(many, "chain", BUDGET).series)
    page = comparison_page(many)
    assert page.count('class="verdict') == 0 and page.count("<td>PARTIAL: gain &lt;b&gt;</td>") == len(many)


def test_the_points_of_very_many_sweeps_are_bounded_and_it_is_said():
    rows = made_rows(run_steps=range(1, MOST_POINTS // 2 + 2), budgets=(8, 16))
    runs = [Run("a", rows), Run("b", rows)]
    assert sum(len(series.points) for series in by_step(runs)[1].series) == MOST_POINTS
    assert "Of each run at most 500 of up to 501 sweeps are drawn" in comparison_page(runs)


def test_the_page_has_verdicts_tables_and_notes_all_escaped(runs):
    tables = [
        Named("keys that differ", ("run", "seed"), (("a <b>", "1"), ("c", "2")), ("note <i>",)),
        Named("no pairs: <why>", ("",), ()),
    ]
    page = comparison_page(runs, tables, ["at its <best>"])
    for text in (
        "2 runs compared",
        "a &lt;b&gt;, step 10",
        "PARTIAL: gain &lt;b&gt;",
        '<h2 id="keys-that-differ-title">',
        "note &lt;i&gt;",
        "No pairs: &lt;why&gt;",
        "at its &lt;best&gt;",
    ):
        assert text in page, text
    assert "<b>" not in page and "<i>" not in page and page.count("<script") == 1


def test_losses_have_a_section_if_a_run_logged_them(runs):
    assert '<h2 id="training-loss-title">' not in comparison_page(runs)
    logged = ({"step": 1, "loss": 2.0, "tokens": 7}, {"step": 2, "loss": 1.5, "tokens": 7})
    page = comparison_page([replace(runs[0], logged=logged), runs[1]])
    assert '<h2 id="training-loss-title">' in page and "Without logged losses: c." in page
