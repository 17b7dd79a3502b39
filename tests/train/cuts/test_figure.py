"""The figure of cuts has a panel for each suite and each number of layers, with the values of the rows."""

from __future__ import annotations

from dataclasses import replace

from tests.train.cuts.cut_rows import CUTS, rows
from train.cuts.figure import COLOURS, cuts_figure, methods_of
from train.cuts.trained import Trained


def test_a_panel_for_each_suite_and_for_each_number_of_layers() -> None:
    titles = [axes.get_title("left") for axes in cuts_figure(CUTS, "chain").axes]
    assert titles == ["facts at 8", "chain at 8", "chain, 1 layer less", "chain, 2 layers less"]


def test_a_method_is_drawn_from_the_unpruned_model_on() -> None:
    facts = cuts_figure(CUTS, "chain").axes[0]
    lines = [container.lines[0] for container in facts.containers]
    assert [list(line.get_ydata()) for line in lines] == [[1.0, 0.9], [1.0, 0.8]]


def test_a_curve_by_budget_is_that_of_its_rows() -> None:
    one_layer = cuts_figure(CUTS, "chain").axes[2]
    assert [list(line.get_ydata()) for line in one_layer.lines] == [[0.5, 0.9], [0.5, 0.6]]


def test_what_came_back_is_drawn_in_dashes() -> None:
    trained = [replace(cut, trained=Trained(20, rows(1.0, (0.5, 0.8)), 1.0, 1.0) if cut.plan else None) for cut in CUTS]
    one_layer = cuts_figure(trained, "chain").axes[2]
    dashed = [list(line.get_ydata()) for line in one_layer.lines if line.get_linestyle() == "--"]
    assert (dashed, one_layer.get_title("left")) == ([[0.5, 0.8]], "chain, 1 layer less (dashes: after 20 steps)")


def test_each_method_has_a_colour_of_its_own() -> None:
    assert methods_of(CUTS) == {"tail": COLOURS[0], "laco": COLOURS[1]}
