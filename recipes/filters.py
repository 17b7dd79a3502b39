"""The recipe's `data.filters`: which traces are dropped for visible defects. null turns a filter off."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from recipes.section import Section


class FiltersSection(Section):
    """By default only clearly broken traces are dropped; `python -m data_prep check` counts what each would drop."""

    unclosed_thinking: Literal["drop"] | None = Field(
        default="drop", description="traces whose thought is opened but never closed"
    )
    absent_thinking: Literal["drop"] | None = Field(
        default="drop", description="traces without any thought; null trains them with an empty one"
    )
    min_thinking_characters: int | None = Field(
        default=None, ge=1, description="shortest thought, white space around it not counted; 1 drops empty ones"
    )
    loop_rounds: int | None = Field(
        default=3,
        ge=2,
        description="drop a trace whose thought or answer loops: it ends in at least this many repetitions of the same "
        "text of at most 64 words, and at least 12 words in total",
    )
    max_foreign_letters: float | None = Field(
        default=0.5,
        ge=0,
        le=1,
        description="largest share of the thought's letters in a script that the question does not use (Greek letters "
        "count as symbols)",
    )
    min_answer_characters: int | None = Field(
        default=1, ge=1, description="shortest answer, white space around it not counted"
    )
    answer_contains: str | None = Field(
        default=None, min_length=1, description="text that every answer must contain, such as \\boxed{"
    )
