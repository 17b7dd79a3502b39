"""`sweep.confirm`: the problems on which the checkpoint that a run keeps is swept once, and no sweep before."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from recipes.section import Section
from recipes.suites import SuiteSection

CONFIRM = "-confirm"
"""what the name of a suite gets whose problems confirm"""


class ConfirmSection(Section):
    problems: int = Field(
        ge=2, description="number of problems that no sweep of the run has seen; their figures are the confirmed ones"
    )
    seed: int = Field(
        default=1,
        description="seed of the draw among the unseen ones; if the deciding suite is made from a seed, of new ones",
    )
    suite: SuiteSection | None = Field(
        default=None,
        description="where they come from, such as another year's contest; default: the suite that decides",
    )

    @model_validator(mode="after")
    def _has_budgets(self) -> Self:
        if getattr(self.suite, "method", "generate") == "likelihood":
            raise ValueError(
                "suite.method=likelihood has no budgets, so it can confirm no verdict; write method=generate"
            )
        return self
