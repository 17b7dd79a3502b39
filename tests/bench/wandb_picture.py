"""What W&B holds of an offline run, drawn as its charts are: the picture of docs/wandb.md.

python -m tests.bench.wandb_picture RUN OUT.png

Everything is read back from the run's .wandb file and its tables with W&B's own reader, not from the run folder.
"""

from __future__ import annotations

import sys
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eval.show.curves import save
from tests.train.wandb_files import Start, starts_of
from train.tracked_values import SWEEP_STEP, TRAIN_STEP

CURVES = (("recovered_fraction", "recovered fraction"), ("gain_per_doubling", "gain per doubling of the budget"))
BOUNDS = {
    "recovered_fraction": ("recovered_fraction_low", "recovered_fraction_high"),
    "gain_per_doubling": ("gain_low", "gain_high"),
}


def picture(start: Start) -> Figure:
    """The budget curve, two curves of recovery with their bounds, and the loss."""
    figure = Figure(figsize=(11, 6), layout="constrained")
    axes: list[Axes] = list(figure.subplots(2, 2).flat)
    _budget_curve(axes[0], start)
    for at, (key, title) in zip(axes[1:3], CURVES, strict=True):
        steps, values = zip(*start.curve(f"recovery/{key}", SWEEP_STEP), strict=True)
        at.plot(steps, values, marker="o")
        low, high = (dict(start.curve(f"recovery/{bound}", SWEEP_STEP)) for bound in BOUNDS[key])
        both = [step for step in steps if step in low and step in high]  # an unbounded end is not logged
        at.fill_between(both, [low[step] for step in both], [high[step] for step in both], alpha=0.2)
        at.set(title=f"recovery/{key}: {title}", xlabel=SWEEP_STEP)
    axes[3].plot(*zip(*start.curve("train/loss", TRAIN_STEP), strict=True))
    axes[3].set(title="train/loss", xlabel=TRAIN_STEP)
    return figure


def _budget_curve(axes: Axes, start: Start) -> None:
    """The newest table of the chart `budget_curve`: one line per model and sweep."""
    table = start.table("budget_curve_table")
    budget, line, accuracy = (table["columns"].index(name) for name in ("step", "lineKey", "lineVal"))
    lines: dict[str, list[tuple[float, float]]] = {}
    for row in table["data"]:
        lines.setdefault(str(row[line]), []).append((row[budget], row[accuracy]))
    for name, points in lines.items():
        axes.plot(*zip(*sorted(points), strict=True), marker=".", label=name)
    axes.set(title="budget_curve", xlabel="thinking tokens", ylabel="accuracy")
    axes.legend(fontsize="small")


if __name__ == "__main__":
    print(save(picture(starts_of(Path(sys.argv[1]))[0]), Path(sys.argv[2])))
