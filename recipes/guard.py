"""What a run does about a loss that is not finite or explodes, and when it ends before its last step."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, field_validator

from recipes.section import Section

METRICS = {
    "level": "accuracy",
    "base": "base",
    "gain": "gain_per_doubling",
    "total_gain": "total_gain",
    "accuracy": "accuracy",
    "termination": "termination",
}
"""names in a key such as sweep/chain/gain -> keys of a row of sweeps.jsonl; level and accuracy are one number, that of
the largest budget; base is that of the smallest above 0"""


class GuardSection(Section):
    on_bad_loss: Literal["stop", "skip"] = Field(
        default="stop",
        description="a loss or gradient that is not finite, or a loss that explodes: stop the run before the "
        "optimizer step, or skip that step on all ranks and count it",
    )
    explode_factor: float = Field(
        default=10.0,
        gt=1,
        description="a loss above this many times the median of the last `window` good steps is an explosion",
    )
    window: int = Field(
        default=20,
        ge=2,
        description="number of good steps for the median; until there are that many, only a loss that is not finite "
        "is bad",
    )
    most_skipped: int = Field(
        default=10,
        ge=1,
        description="with skip: the run stops at the next bad step after this many, counted across resumes",
    )


@dataclass(frozen=True)
class SweepMetric:
    """A number of one suite's sweep, larger is better."""

    suite: str
    name: str

    def __str__(self) -> str:
        return f"sweep/{self.suite}/{self.name}"


def sweep_metric(text: str) -> SweepMetric:
    """`sweep/<suite>/<metric>` taken apart; ValueError says what is allowed."""
    match = re.fullmatch(r"sweep/(.+)/([a-z_]+)", text)
    if match is None or match[2] not in METRICS:
        raise ValueError(f"{text}: must be sweep/<suite>/<metric>, with one of {', '.join(METRICS)} as metric")
    return SweepMetric(match[1], match[2])


class StopOnVerdict(Section):
    on: Literal["verdict"] = Field(description="stop when sweeps say RETURNED")
    times: int = Field(default=2, ge=1, description="number of sweeps in a row")


class StopOnPlateau(Section):
    on: Literal["plateau"] = Field(description="stop when a number of the sweeps no longer increases")
    metric: str = Field(description="sweep/<suite>/<metric>, such as sweep/chain/gain")
    times: int = Field(default=3, ge=1, description="number of sweeps in a row without a new best")
    min_rise: float = Field(default=0.0, ge=0, description="smallest increase that makes a new best")

    @field_validator("metric")
    @classmethod
    def _is_a_metric(cls, text: str) -> str:
        return str(sweep_metric(text))


EarlyStopSection = Annotated[StopOnVerdict | StopOnPlateau, Field(discriminator="on")]
