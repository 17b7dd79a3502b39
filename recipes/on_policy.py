"""The `on_policy` section: the model in training writes thoughts, and learns its teacher's distributions on them."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from recipes.engines import HFEngine
from recipes.section import Section
from recipes.suites import SuiteSection


class HorizonSection(Section):
    """How long thoughts may be: from `start` tokens at the first step to `end` at step `steps`, in a straight line."""

    start: int = Field(ge=1, description="longest thought at the first step, in tokens")
    end: int = Field(ge=1, description="longest thought from step `steps` on")
    steps: int = Field(ge=0, description="the step from which thoughts may be as long as `end`; 0: from the beginning")

    @model_validator(mode="after")
    def _grows(self) -> Self:
        if self.end < self.start:
            raise ValueError(
                f"end={self.end} is below start={self.start}; the horizon must not shrink; write at least {self.start}"
            )
        return self

    def at(self, step: int) -> int:
        """The longest thought of a round that begins after `step` steps."""
        if step >= self.steps:
            return self.end
        return self.start + (self.end - self.start) * step // self.steps


class OnPolicySection(Section):
    problems: SuiteSection = Field(
        description="problems to think about, other than the sweep's (overlaps are left out and counted)"
    )
    samples: int = Field(default=1, ge=1, description="thoughts per problem, one after the other")
    share: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="share of each batch that consists of the model's own thoughts; the rest are data.traces",
    )
    horizon: HorizonSection = Field(description="how long thoughts may be, from short to long")
    refresh_steps: int = Field(
        default=10,
        ge=1,
        description="number of steps that train on one round of thoughts before new thoughts are generated",
    )
    answer_tokens: int = Field(default=256, ge=1, description="longest answer after a thought")
    temperature: float = Field(default=1.0, gt=0, description="sampling temperature")
    top_p: float = Field(default=1.0, gt=0, le=1, description="nucleus sampling")
    top_k: int = Field(default=0, ge=0, description="sample among the k likeliest tokens; 0: among all")
    seed: int = Field(default=1, description="seed of the sampling streams and of the order of problems")
    most_looping: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="a round is skipped if more than this share of its thoughts loop or are empty; data.traces take "
        "its place",
    )
    most_inflation: float = Field(
        default=1.5,
        gt=1,
        description="a round is also skipped if its thoughts, truncated to the first horizon, are this many times as "
        "long as in the first round",
    )
    engine: HFEngine = Field(
        default=HFEngine(), description="the engine in process, which decodes on the weights in training"
    )
