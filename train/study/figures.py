"""The figures of a study: recovery by arm, and level over labelled tokens."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eval.numbers.statistics import Interval
from eval.show.curves import GREY, UNPRUNED, dress, new_figure
from train.study.findings import Findings
from train.study.results import ArmResult

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito
LINES = ("-", "--", ":", "-.")
MOST_SHOWN = 2.0  # the figure clips a share's interval here; the table has all of it


def arms_figure(found: Findings) -> Figure:
    """Recovered level and recovered gain by arm, with simultaneous intervals; arms without an interval have no
    point."""
    figure = new_figure(10.5, 1.6 + 0.34 * len(found.arms))
    left, right = figure.subplots(1, 2, sharey=True)
    titles = [each.arm.title for each in found.arms]
    _shares(left, [each.level_back for each in found.arms])
    _shares(right, [each.gain_back for each in found.arms])
    left.set_yticks(range(len(titles)), titles, fontsize=8.5)
    left.invert_yaxis()
    left.set_title("recovered share of the lost level", loc="left", fontsize=10, fontweight="bold")
    right.set_title("gain as a share of the unpruned gain", loc="left", fontsize=10, fontweight="bold")
    return figure


def _shares(axes: Axes, shares: Sequence[Interval | None]) -> None:
    for place, share in enumerate(shares):
        if share is not None:
            low, high = (float(np.clip(end, -MOST_SHOWN, MOST_SHOWN)) for end in (share.low, share.high))
            axes.plot([low, high], [place, place], color=COLOURS[0], linewidth=1.8)
            axes.plot([share.estimate], [place], color=COLOURS[0], marker="o", markersize=5)
    for line in (0.0, 1.0):
        axes.axvline(line, color=GREY, linestyle=":", linewidth=1.0)
    axes.grid(True, axis="x", color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def tokens_figure(found: Findings) -> Figure:
    """Accuracy at the largest budget over labelled tokens, one line per arm: the mean over its trainings."""
    figure = new_figure(10.5, 5.2)
    axes = figure.add_subplot()
    styles = cycle((colour, line) for line in LINES for colour in COLOURS)
    for each, (colour, line) in zip(found.arms, styles, strict=False):
        tokens, level = mean_way(each.arm)
        axes.plot(tokens, level, color=colour, linestyle=line, marker="o", markersize=3.5, label=each.arm.title)
    whole = float(found.arms[0].arm.values("level", "unpruned", found.results.budgets).mean())
    axes.axhline(whole, color=UNPRUNED, linewidth=3.0, alpha=0.6, label="unpruned")
    dress(axes)
    axes.set_xlabel("labelled tokens trained on")
    axes.set_ylabel(f"accuracy at {found.results.budgets[-1]:,} tokens")
    axes.legend(fontsize=7.5, frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


def mean_way(arm: ArmResult) -> tuple[list[float], list[float]]:
    """Labelled tokens and level by sweep, each the mean over the arm's trainings, up to the shortest one's sweeps."""
    most = min(len(training.way) for training in arm.trainings)
    way = np.array([training.way[:most] for training in arm.trainings])  # [seeds, sweeps, 2]
    mean = way.mean(axis=0)
    return mean[:, 0].tolist(), mean[:, 1].tolist()
