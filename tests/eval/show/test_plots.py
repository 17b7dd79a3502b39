"""The figures: PNG files, all curves drawn, protocols named."""

import numpy as np
import pytest
from matplotlib import _pylab_helpers
from matplotlib.image import imread

from eval.show.curves import LEGEND_STEPS, SPENT, curves, draw_curves, legend_entries, protocol_note, save, single_axes
from eval.show.plots import curves_figure, training_figure
from tests.eval.show.test_tables import by_likelihood, made_rows


def _is_a_picture(path):
    pixels = imread(path)
    return path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" and min(pixels.shape[:2]) > 400 and np.ptp(pixels) > 0.5


@pytest.mark.parametrize("draw", [curves_figure, training_figure])
def test_figures_are_pictures(draw, tmp_path):
    path = save(draw(made_rows("knowledge") + made_rows(), "chain"), tmp_path / "figures" / "a.png")
    assert _is_a_picture(path) and [file.name for file in path.parent.iterdir()] == ["a.png"]
    assert not _pylab_helpers.Gcf.figs


@pytest.mark.parametrize("draw", [curves_figure, training_figure])
@pytest.mark.parametrize("kept", [("unpruned",), ("run",), ("run", "pruned")])
def test_missing_models_are_left_out(draw, kept, tmp_path):
    rows = [row for row in made_rows() if row["model"] in kept]
    assert _is_a_picture(save(draw(rows, "chain"), tmp_path / "a.png"))


def test_one_budget_and_undefined_gain(tmp_path):
    rows = [
        row | ({"gain_per_doubling": None, "gain_low": None, "gain_high": None} if row["budget"] is None else {})
        for row in made_rows(budgets=(64,))
    ]
    assert _is_a_picture(save(training_figure(rows, "chain"), tmp_path / "a.png"))
    assert _is_a_picture(save(curves_figure(rows, "chain"), tmp_path / "b.png"))


def test_the_last_step_is_the_strong_one():
    drawn = curves(made_rows(run_steps=(0, 5, 10)), "chain")
    assert [curve.label for curve in drawn] == [
        "unpruned",
        "pruned",
        "recovered, step 0",
        "recovered, step 5",
        "recovered, step 10",
    ]
    assert max(drawn[2:], key=lambda curve: curve.width) is drawn[4] and drawn[2].band == 0 < drawn[4].band


def test_an_equal_curve_does_not_hide_the_unpruned_one():
    unpruned, _, *recovered = curves(made_rows(run_steps=(0, 5)), "chain")
    assert unpruned.label == "unpruned" and unpruned.width > 2 * recovered[-1].width


def test_the_way_back_begins_with_the_pruned_model():
    lines = training_figure(made_rows(run_steps=(5, 10)), "chain").axes[0].get_lines()
    assert list(lines[0].get_xdata()) == [0, 5, 10]


def test_the_legend_stays_short():
    labels = [curve.label for curve in legend_entries(curves(made_rows(run_steps=range(15)), "chain"))]
    assert (
        labels[:2] == ["unpruned", "pruned"] and len(labels) == 2 + LEGEND_STEPS and labels[-1] == "recovered, step 14"
    )


def test_differing_protocols_are_named_in_the_figure():
    mixed = [row | {"protocol": "other999"} if row["model"] == "run" else row for row in made_rows()]
    assert protocol_note(curves(made_rows(), "chain")) == ""
    note = protocol_note(curves(mixed, "chain"))
    assert "other999 (recovered)" in note and "hash (unpruned, pruned)" in note
    for draw in (curves_figure, training_figure):
        assert draw(mixed, "chain").get_suptitle() == note and draw(made_rows(), "chain").get_suptitle() == ""


def _drawn(rows, suite="chain", *axis):
    axes = single_axes()[1]
    draw_curves(axes, curves(rows, suite), *axis)
    return axes, {tick.get_text(): at for tick, at in zip(axes.get_xticklabels(), axes.get_xticks(), strict=True)}


def test_thinking_off_is_drawn_apart_and_joined_to_nothing(tmp_path):
    axes, ticks = _drawn(made_rows(budgets=(0, 16, 32)))
    assert ticks == {"off": 8, "16": 16, "32": 32}
    lines = [list(line.get_xdata()) for line in axes.get_lines()]
    assert lines.count([16, 32]) == 4 and lines.count([8]) == 4  # unpruned, pruned and two steps
    assert _is_a_picture(save(curves_figure(made_rows(budgets=(0, 16, 32)), "chain"), tmp_path / "a.png"))


def test_along_tokens_spent_points_lie_at_what_was_spent(tmp_path):
    axes, ticks = _drawn(made_rows(budgets=(0, 16, 64)), "chain", SPENT)
    lines = [list(line.get_xdata()) for line in axes.get_lines()]
    assert lines.count([16 * 0.8, 64 * 0.8]) == 4 and lines.count([6.4]) == 4
    assert ticks == {"0": 6.4, "16": 16, "32": 32}
    assert list(_drawn(made_rows(budgets=(70,)), "chain", SPENT)[1]) == ["56"]  # no power of two among the points
    figure = curves_figure(made_rows(), "chain", SPENT)
    assert figure.axes[0].get_xlabel() == "thinking tokens spent (mean)"
    assert _is_a_picture(save(figure, tmp_path / "a.png"))


def test_a_suite_by_likelihood_is_a_point_a_model_with_chance_under_it(tmp_path):
    axes, ticks = _drawn(by_likelihood(), "mmlu")
    assert list(ticks) == ["likelihood"]
    assert [line.get_ydata()[0] for line in axes.get_lines() if line.get_label() == "chance"] == [0.25]
    rows = by_likelihood() + made_rows()
    for axis in ((), (SPENT,)):
        assert _is_a_picture(save(curves_figure(rows, "chain", *axis), tmp_path / "a.png"))
