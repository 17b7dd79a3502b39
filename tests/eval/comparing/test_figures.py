"""The figures of a comparison."""

import json

import pytest

from eval.comparing.figures import (
    MOST_NAMED,
    colours,
    comparable,
    curves_figure,
    figures,
    joint_curves,
    layers_figure,
    pass_figure,
    steps_figure,
)
from eval.comparing.finished import read_run
from eval.show.curves import AXES, SPENT
from tests.eval.comparing.made_runs import PLAN, made_run, read_made
from tests.eval.show.made_rows import made_rows


def _with_suites(folder, *suites, removed=(6, 7), protocol="hash"):
    """A run with several suites; the last one has the verdict."""
    made_run(folder, {"prune_plan": PLAN | {"removed": list(removed)}})
    rows = []
    for suite in suites:
        rows += [
            row | ({} if suite == suites[-1] else {"verdict": None, "protocol": protocol})
            for row in made_rows(suite, run_steps=(5, 10))
        ]
    (folder / "sweeps.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_run(folder)


def _lines(axes):
    return [line for line in axes.lines if len(line.get_xdata()) > 1 and line.get_marker() == "o"]


def test_a_panel_per_suite_and_a_line_per_run(tmp_path):
    runs = [_with_suites(tmp_path / name, "knowledge", "chain") for name in "ab"]
    drawn, _ = figures(runs)
    panels = drawn["compare"].axes
    assert [axes.get_title(loc="left") for axes in panels] == ["chain", "knowledge"]
    # two runs and two references that they share
    assert [len(_lines(axes)) for axes in panels] == [4, 4]
    assert list(_lines(panels[0])[0].get_ydata()) == pytest.approx([0.14, 0.28, 0.42, 0.56, 0.7])


def test_a_suite_that_was_measured_by_two_protocols_is_not_drawn_and_said(tmp_path):
    runs = [_with_suites(tmp_path / "a", "side", "chain"), _with_suites(tmp_path / "b", "side", "chain", protocol="x")]
    assert comparable(runs) == (["chain"], ["suite side is not drawn: the runs' protocols on it differ"])
    assert len(figures(runs)[0]["compare"].axes) == 1


def test_references_that_differ_are_drawn_for_each(tmp_path):
    runs = [read_made(tmp_path / "a"), read_made(tmp_path / "b", run_steps=(0, 5))]
    assert [curve.label for curve in joint_curves(runs, "chain")] == ["a", "b", "unpruned", "pruned"]
    # the same numbers at other budgets are another reference
    runs[1] = read_made(tmp_path / "c", budgets=(8, 16, 32, 64))
    labels = [curve.label for curve in joint_curves(runs, "chain")]
    assert labels == ["a", "c", "unpruned of a", "unpruned of c", "pruned of a", "pruned of c"]


def test_recovery_begins_with_the_pruned_model(tmp_path):
    drawn, _ = figures([_with_suites(tmp_path / "a", "chain")])
    line = _lines(drawn["recovery"].axes[0])[0]
    assert list(zip(line.get_xdata(), line.get_ydata(), strict=True)) == [(0, 0), (5, 0.5), (10, 0.5)]


def test_level_gain_and_termination_over_steps(tmp_path):
    drawn, _ = figures([_with_suites(tmp_path / "a", "chain")])
    level, gain, termination = ([*_lines(axes)[0].get_ydata()] for axes in drawn["steps"].axes)
    assert level == pytest.approx([0.2, 0.45, 0.7]) and gain == pytest.approx([0.04, 0.09, 0.14])
    assert termination == [0.7] * 3


def test_pass_at_k_and_what_is_not_drawn(tmp_path):
    drawn, said = figures([read_made(tmp_path / "a")])
    assert list(_lines(drawn["pass_at_k"].axes[0])[0].get_ydata()) == [0.7, 0.8]
    assert said == ["no figure layers: all prune plans remove the same number of layers, or are not recorded"]


def test_suites_by_layers_removed(tmp_path):
    runs = [_with_suites(tmp_path / "a", "side", "chain"), _with_suites(tmp_path / "b", "side", "chain", removed=(7,))]
    lines = _lines(figures(runs)[0]["layers"].axes[0])
    assert [list(line.get_xdata()) for line in lines] == [[0, 1, 2]] * 4
    # unpruned, then pruned; unpruned, then recovered
    assert [line.get_ydata() for line in lines[:2]] == [
        pytest.approx((0.95, 0.2, 0.2)),
        pytest.approx((0.95, 0.7, 0.7)),
    ]


def test_a_plan_that_only_narrows_layers_has_no_place_among_layers_removed(tmp_path):
    runs = [_with_suites(tmp_path / "a", "chain"), _with_suites(tmp_path / "b", "chain", removed=())]
    assert layers_figure(runs, ["chain"]) is None


@pytest.mark.parametrize("axis", ["spent", "total"])
def test_the_axis_is_chosen(tmp_path, axis):
    drawn, _ = figures([read_made(tmp_path / "one", budgets=(0, 8, 16))], AXES[axis])
    assert drawn["compare"].axes[0].get_xlabel() == AXES[axis].label
    assert drawn["spent"].axes[0].get_xlabel() == SPENT.label


def test_many_runs_have_colours_of_their_own_and_a_short_legend(tmp_path):
    assert len(set(colours(100))) > 90 and len(set(colours(7))) == 7
    run = read_made(tmp_path / "one")
    (legend,) = curves_figure([run] * 20, ["chain"]).legends
    assert [text.get_text() for text in legend.get_texts()][MOST_NAMED:] == ["and 4 more", "pruned", "unpruned"]


def test_the_lines_of_many_runs_are_one_artist_with_all_of_their_points(tmp_path):
    runs = [read_made(tmp_path / str(step), budgets=(0, 8, 16), run_steps=(5, step)) for step in range(6, 14)]
    axes = [curves_figure(runs, ["chain"]).axes[0], steps_figure(runs, ["chain"]).axes[0]]
    by_budget, level = (
        next(each for each in panel.collections if len(each.get_paths()) == len(runs)) for panel in axes
    )
    # made rows: the level is 0.2 + 0.05 per step, two thirds of it at the second of three budgets; 0 is drawn apart
    assert [path.vertices.tolist() for path in by_budget.get_paths()] == [
        [[8, pytest.approx((0.2 + 0.05 * step) * 2 / 3)], [16, pytest.approx(0.2 + 0.05 * step)]]
        for step in range(6, 14)
    ]
    assert [path.vertices.tolist() for path in level.get_paths()] == [
        [[0, pytest.approx(0.2)], [5, pytest.approx(0.45)], [step, pytest.approx(0.2 + 0.05 * step)]]
        for step in range(6, 14)
    ]
    assert axes[0].get_xlim()[1] > 16 and axes[1].get_xlim()[1] > 13


def test_many_runs_without_a_number_have_no_line(tmp_path):
    runs = [_with_suites(tmp_path / str(number), "chain") for number in range(8)]
    for run in runs[1:]:
        run.summary["pass_at_k"] = None
    drawn = pass_figure(runs, ["chain"]).axes[0]
    assert [path.vertices.tolist() for path in drawn.collections[0].get_paths()] == [[[1, 0.7], [2, 0.8]]]
