"""The figures: PNG files, all curves drawn, protocols named."""

import numpy as np
import pytest
from matplotlib import _pylab_helpers
from matplotlib.image import imread

from eval.show.curves import BUDGET, SPENT, save
from eval.show.plots import curves_figure, training_figure
from tests.eval.show.made_rows import by_likelihood, made_rows


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


def test_recovery_begins_with_the_pruned_model():
    lines = training_figure(made_rows(run_steps=(5, 10)), "chain").axes[0].get_lines()
    assert list(lines[0].get_xdata()) == [0, 5, 10]


def test_differing_protocols_are_named_in_the_figure():
    mixed = [row | {"protocol": "other999"} if row["model"] == "run" else row for row in made_rows()]
    for draw in (curves_figure, training_figure):
        assert "other999" in draw(mixed, "chain").get_suptitle() and draw(made_rows(), "chain").get_suptitle() == ""


@pytest.mark.parametrize("axis", [BUDGET, SPENT])
@pytest.mark.parametrize("rows", [made_rows(budgets=(0, 16, 32)), by_likelihood() + made_rows()])
def test_thinking_off_and_other_suites_are_drawn_along_both_axes(axis, rows, tmp_path):
    figure = curves_figure(rows, "chain", axis)
    assert figure.axes[0].get_xlabel() == axis.label and _is_a_picture(save(figure, tmp_path / "a.png"))


@pytest.mark.parametrize(("error", "band"), [(0.025, "simultaneous over all sweeps"), (0.05, "95 % intervals")])
def test_the_band_of_the_gain_is_named(error, band):
    rows = [row | {"verdict_error": error} if row.get("verdict_error") else row for row in made_rows()]
    titles = [axes.get_title(loc="left") for axes in training_figure(rows, "chain").axes]
    assert f"gain per doubling of the budget (band: {band})" in titles
