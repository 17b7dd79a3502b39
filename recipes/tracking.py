"""The `wandb` section: where a run's numbers go beside its folder. What is given here counts before W&B's variables."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from recipes.section import Section

Tag = Annotated[str, Field(min_length=1, max_length=64)]  # W&B takes no other


class WandbSection(Section):
    mode: Literal["auto", "online", "offline", "disabled"] = Field(
        default="auto", description="auto: WANDB_MODE, else online where W&B finds a key, else offline"
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
        description="what is uploaded at the end beside numbers, tables and report: the export, or also every complete "
        "checkpoint that is kept (all); both name the pruned model and the traces that they come from",
    )
