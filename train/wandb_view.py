"""`python -m train.wandb_view entity=TEAM project=PROJECT`: saves a view of a W&B project that compares runs.

It shows budget curves, recovery over steps, the tables and training; the list of runs is sorted by verdict. It uses the
keys that every run logs (docs/wandb.md). Needs `wandb-workspaces` (the extra `wandb-view`); each call makes a new view.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field

from recipes.command import run
from recipes.errors import UserError
from recipes.loader import load_arguments
from recipes.section import Section
from runtime.network import within
from train.packages import installed
from train.tracked_values import SWEEP_STEP, TRAIN_STEP
from train.wandb_waits import REQUEST_SECONDS

if TYPE_CHECKING:
    from wandb_workspaces.reports.v2 import CustomChart, LinePlot
    from wandb_workspaces.workspaces import Workspace


class ViewSection(Section):
    entity: str | None = Field(default=None, description="W&B team or user; default: WANDB_ENTITY")
    project: str | None = Field(default=None, description="W&B project; default: WANDB_PROJECT, else chainmend")
    name: str = Field(default="chainmend: recovery", min_length=1, description="name of the view")


@dataclass(frozen=True)
class Curves:
    """A panel: `keys` over the key `step`, one line per run and key."""

    title: str
    keys: tuple[str, ...]
    step: str


def _over_sweeps(title: str, *names: str) -> Curves:
    return Curves(title, tuple(f"recovery/{name}" for name in names), SWEEP_STEP)


RECOVERY = (
    _over_sweeps("recovered fraction", "recovered_fraction"),
    _over_sweeps("gain per doubling of the budget", "gain_per_doubling"),
    _over_sweeps("accuracy at the largest budget", "level"),
    _over_sweeps("recovered share of the gain", "gain_share"),
    _over_sweeps("termination", "termination"),
    _over_sweeps("verdict (3 returned … 0 not returned, -1 cannot be shown)", "verdict_score"),
)
INTERVALS = (
    _over_sweeps(
        "recovered fraction, with its interval", *(f"recovered_fraction{end}" for end in ("", "_low", "_high"))
    ),
    _over_sweeps("gain per doubling, with its interval", "gain_per_doubling", "gain_low", "gain_high"),
    _over_sweeps("accuracy at the largest budget, with its interval", "level", "level_low", "level_high"),
)
TRAINING = tuple(
    Curves(name.replace("_", " "), (f"train/{name}",), TRAIN_STEP)
    for name in ("loss", "learning_rate", "grad_norm", "mean_token_accuracy", "tokens_per_second")
)
BUDGET_CURVE = "budget_curve"
TABLES = ("sweeps", "problems")
COLUMNS = ("verdict", "verdict_score", "recovered_fraction", "gain_per_doubling", "level", "termination")
"""columns of the list of runs, under recovery/"""


def workspace(entity: str, project: str, name: str) -> Workspace:
    """The view, as an object of `wandb_workspaces`; sends nothing."""
    import wandb_workspaces.reports.v2 as panels
    from wandb_workspaces import expr
    from wandb_workspaces import workspaces as views

    tables = [panels.WeavePanelSummaryTable(table_name=table) for table in TABLES]
    order = [expr.Summary(f"recovery/{key}") for key in ("verdict_score", "gain_per_doubling")]
    return views.Workspace(
        entity=entity,
        project=project,
        name=name,
        sections=[
            views.Section(name="Recovery", panels=[_budget_curve(), *map(_lines, RECOVERY)], is_open=True),
            views.Section(name="Intervals", panels=[_lines(each) for each in INTERVALS]),
            views.Section(name="Tables", panels=[*tables, panels.RunComparer(diff_only="split")]),
            views.Section(name="Training", panels=[_lines(each) for each in TRAINING]),
        ],
        runset_settings=views.RunsetSettings(
            order=[expr.Ordering(key, ascending=False) for key in order],
            pinned_columns=[f"summary:recovery/{column}" for column in COLUMNS],
        ),
    )


def _lines(curves: Curves) -> LinePlot:
    from wandb_workspaces.reports.v2 import LinePlot

    return LinePlot(title=curves.title, x=curves.step, y=list(curves.keys))


def _budget_curve() -> CustomChart:
    """The chart that `wandb.plot.line_series` logs, from its underlying table and columns."""
    from wandb_workspaces.reports.v2 import CustomChart

    return CustomChart(
        query={"summaryTable": {"tableKey": f"{BUDGET_CURVE}_table"}},
        chart_name="wandb/lineseries/v0",
        chart_fields={column: column for column in ("step", "lineKey", "lineVal")},
        chart_strings={"title": "accuracy by thinking tokens", "xname": "budget"},
    )


def place(section: ViewSection, environment: Mapping[str, str]) -> tuple[str, str]:
    """(entity, project), from the arguments or W&B's variables. UserError without an entity."""
    entity = section.entity or environment.get("WANDB_ENTITY")
    if not entity:
        raise UserError("entity: missing; give entity=TEAM (or your user name), or set WANDB_ENTITY")
    return entity, section.project or environment.get("WANDB_PROJECT") or "chainmend"


def main(arguments: list[str]) -> None:
    section = load_arguments(arguments, ViewSection)
    entity, project = place(section, os.environ)
    if not installed("wandb_workspaces"):
        raise UserError(
            "python -m train.wandb_view needs wandb-workspaces, which is not installed; "
            "pip install 'chainmend[wandb-view]'"
        )
    try:
        saved = within(REQUEST_SECONDS, lambda: workspace(entity, project, section.name).save())
    except Exception as fault:  # no key, no server, no such project: any error of the library or a server
        first = (str(fault).strip().splitlines() or [type(fault).__name__])[0]
        raise UserError(
            f"the view of {entity}/{project} was not saved: {first[:300]}; log in with `wandb login`, and check entity "
            "and project"
        ) from None
    print(f"view {section.name}: {saved.url}")


if __name__ == "__main__":
    run(main)
