"""`sweep.confirm`: problems held out from all sweeps of a run, on which the checkpoint that it keeps is swept once."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from recipes.section import Section
from recipes.suites import SuiteSection

CONFIRM = "-confirm"
"""suffix of the name of a confirming suite"""


class ConfirmSection(Section):
    problems: int = Field(
        ge=2, description="number of held-out problems, unseen by every sweep; results on them are the confirmed ones"
    )
    seed: int = Field(
        default=1,
        description="seed for drawing unseen problems; if the deciding suite is made from a seed, for making new ones",
    )
    suite: SuiteSection | None = Field(
        default=None,
        description="suite to take them from, such as another year's contest; default: the suite that decides",
    )

    @model_validator(mode="after")
    def _has_budgets(self) -> Self:
        if getattr(self.suite, "method", "generate") == "likelihood":
            raise ValueError(
                "suite.method=likelihood has no budgets, so it cannot confirm a verdict; write method=generate"
            )
        return self
