"""Where a run's numbers go in addition to its folder: the `wandb` section, which takes precedence over W&B's own
variables, and other trackers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from recipes.section import Section

Tag = Annotated[str, Field(min_length=1, max_length=64)]  # W&B accepts no others


class WandbSection(Section):
    mode: Literal["auto", "online", "offline", "disabled"] = Field(
        default="auto", description="auto: WANDB_MODE, else online if W&B finds a key, else offline"
    )
    project: str | None = Field(default=None, description="W&B project; default: WANDB_PROJECT, else chainmend")
    entity: str | None = Field(default=None, description="W&B team or user; default: WANDB_ENTITY, else the key's own")
    group: str | None = Field(
        default=None, description="W&B group; default: WANDB_RUN_GROUP, else the pruned model's name"
    )
    name: str | None = Field(
        default=None, description="name of the W&B run; default: WANDB_NAME, else the run folder's"
    )
    tags: list[Tag] | None = Field(default=None, description="tags of the W&B run; default: WANDB_TAGS (a,b)")
    notes: str | None = Field(default=None, description="notes on the W&B run; default: WANDB_NOTES")
    artifacts: Literal["none", "export", "all"] = Field(
        default="none",
        description="files uploaded at the end in addition to numbers, tables and report: the export, or also every "
        "complete checkpoint that is kept (all); both name the pruned model and the traces that they come "
        "from",
    )


OTHER_TRACKERS = ("tensorboard", "trackio", "mlflow")
"""trackers that get the scalars by the Trainer's own integrations (trainer.report_to)"""


def other_trackers(report_to: Any) -> list[str]:
    """The trackers besides W&B that `trainer.report_to` names: text, a list, or None. `wandb` and `none` do nothing,
    since the `wandb` section controls W&B."""
    names = report_to if isinstance(report_to, list) else [report_to or "none"]
    return [name for name in names if name not in ("wandb", "none")]


def report_to_fault(report_to: Any) -> str | None:
    """What is wrong with a value of `trainer.report_to`; None if it is valid."""
    wrong = [name for name in other_trackers(report_to) if name not in OTHER_TRACKERS]
    if not wrong:
        return None
    return f"allowed: {', '.join(OTHER_TRACKERS)} or a list of them; wandb.mode turns W&B on and off"
