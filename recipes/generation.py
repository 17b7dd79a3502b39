"""Traces that the unpruned model writes itself, as a recipe's `data.traces`."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from recipes.engines import EngineSection, HFEngine
from recipes.section import Section
from recipes.suites import SuiteSection


class GenerateTraces(Section):
    source: Literal["generate"] = Field(
        description="traces that the unpruned model writes; only verified ones are kept (rejection sampling)"
    )
    problems: SuiteSection = Field(description="problems with gold answers, other than the sweep's")
    samples: int = Field(default=4, ge=1, description="thoughts per problem")
    keep: Literal["random", "shortest", "all"] = Field(
        default="random", description="which verified traces of a problem are kept; shortest teaches brevity"
    )
    per_problem: int = Field(
        default=1, ge=1, description="largest number of traces kept per problem, with random or shortest"
    )
    thinking_tokens: int = Field(
        default=8192, ge=1, description="longest thought; a thought without its own close is dropped"
    )
    answer_tokens: int = Field(default=2048, ge=1, description="longest answer; a truncated one is dropped")
    temperature: float = Field(default=1.0, ge=0, description="0 is greedy decoding")
    top_p: float = Field(default=1.0, gt=0, le=1, description="nucleus sampling")
    top_k: int = Field(default=0, ge=0, description="sample among the k likeliest tokens; 0: among all")
    sampling_seed: int = Field(
        default=0, description="seed of the sampling streams and of the random choice; the problems have their own"
    )
    engine: EngineSection = HFEngine()

    @field_validator("engine", mode="before")
    @classmethod
    def _engine_by_default(cls, engine: Any) -> Any:
        return {"name": "hf", **engine} if isinstance(engine, dict) else engine

    @model_validator(mode="after")
    def _problems_are_thought_about(self) -> Self:
        if getattr(self.problems, "method", "generate") == "likelihood":
            raise ValueError("problems.method=likelihood writes no thoughts; use problems.method=generate")
        return self

    @model_validator(mode="after")
    def _samples_differ(self) -> Self:
        if self.samples > 1 and self.temperature == 0:
            raise ValueError(
                f"samples={self.samples} with temperature=0 would repeat one thought; set a temperature or samples=1"
            )
        return self
