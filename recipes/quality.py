"""Keys of `data` about the quality of traces: duplicates, contamination, verification and selection."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from recipes.section import Section


class DuplicatesSection(Section):
    exact: Literal["none", "trace", "question"] = Field(
        default="none",
        description="drop a trace whose text occurred before, apart from case and spaces: question, thinking and "
        "answer (trace), or the question alone; the first is kept",
    )
    near: Literal["none", "trace", "question"] = Field(
        default="none", description="drop near-duplicates, by the same choice of text (MinHash over runs of words)"
    )
    threshold: float = Field(
        default=0.8,
        gt=0,
        le=1,
        description="texts that share at least this fraction of their runs of words (Jaccard) are near-duplicates",
    )
    run_words: int = Field(default=5, ge=1, description="length of the runs of words that are compared")


class OverlapRules(Section):
    """When a question overlaps with a problem."""

    unit: Literal["symbols", "words"] = Field(
        default="symbols",
        description="unit of comparison: words and punctuation marks (symbols), which recognises formulas; or text "
        "between spaces (words), as in s1 and open-r1",
    )
    n: int = Field(default=8, ge=1, description="length of the runs that are compared (n-grams)")
    shared: int = Field(
        default=3,
        ge=1,
        description="a question that shares at least this many runs with a problem overlaps; 1 in s1 and open-r1",
    )
    coverage: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="in addition, share of the problem's runs that must be shared; 0.1 or 0.2 spares competition "
        "problems that share only stock phrases (docs/traces.md has the numbers)",
    )


class DecontaminateSection(OverlapRules):
    enabled: bool = Field(
        default=True,
        description="drop traces whose question overlaps with a problem of the sweep's suites; suites made from a "
        "template (nano, reasoning_gym) are ignored, since their wording is fixed",
    )


class VerifySection(Section):
    grader: Literal["auto", "math", "integer", "exact", "choice"] = Field(
        default="auto",
        description="how an answer is compared with the gold answer; auto: choice if the gold answer is a single "
        "letter, else math",
    )
    wrong: Literal["drop", "keep"] = Field(
        default="drop", description="drop or keep a trace whose answer is wrong; kept ones are counted"
    )
    without_gold: Literal["keep", "drop"] = Field(
        default="keep", description="drop or keep a trace without a gold answer; kept ones are counted"
    )


class SelectSection(Section):
    scores: Path = Field(description="the scores, from python -m data_prep score recipe=… out=FILE")
    score: Literal["unpruned", "pruned", "gap"] = Field(
        default="gap",
        description="mean loss per labelled token under the unpruned model, under the pruned one, or the increase "
        "from the first to the second",
    )
    keep: Literal["bottom", "middle", "top", "band"] = Field(
        default="middle", description="lowest scores, middle ones, highest ones, or those between low and high"
    )
    share: float | None = Field(default=None, gt=0, le=1, description="share of the traces to keep (or give count)")
    count: int | None = Field(default=None, ge=1, description="number of traces to keep (or give share)")
    low: float | None = Field(default=None, description="with keep=band: the lowest score that is kept")
    high: float | None = Field(default=None, description="with keep=band: the highest score that is kept")

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> Self:
        if self.keep == "band":
            if self.share is not None or self.count is not None or self.low is None or self.high is None:
                raise ValueError("keep=band takes low and high, and neither share nor count")
            if self.low > self.high:
                raise ValueError(f"low={self.low} must not be above high={self.high}")
        elif (self.share is None) == (self.count is None) or self.low is not None or self.high is not None:
            raise ValueError(f"keep={self.keep} takes either share or count, and neither low nor high")
        return self
