"""The `data` section of a recipe: the source of traces, the thinking format, and which traces are kept."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from recipes.filters import FiltersSection
from recipes.quality import DecontaminateSection, DuplicatesSection, SelectSection, VerifySection
from recipes.section import Section
from recipes.traces import TracesSection


class FormatSection(Section):
    """How a thought is written. The tags (open and close without white space) are tokens of the tokenizer, or plain
    text that is more than words."""

    name: Literal["auto", "qwen3", "qwq", "deepseek_r1", "s1", "think", "custom"] = Field(
        default="auto",
        description="a known format (think: <think> and </think>, as tokens or as plain text), or custom: open and "
        "close are given; auto: custom if they are given, else detected from the tokenizer's template",
    )
    open: str | None = Field(
        default=None,
        description="text that opens the thought, appended to the prompt unless the template ends with it; "
        "default: that of the named format",
    )
    close: str | None = Field(
        default=None,
        description="text between thought and answer, and what budget forcing appends; default: the named one",
    )
    cue: str = Field(
        default="",
        description="answer cue appended after every close in a sweep, forced or the model's own, so that the answer "
        "follows at once and budgets are compared on one form; for example one that ends in \\boxed{",
    )
    wait: str = Field(default="Wait", description="text appended to extend a thought")
    stop: str | None = Field(
        default=None, description="the stop token that ends an answer; default: the tokenizer's end-of-sequence token"
    )
    date: datetime.date | None = Field(
        default=None,
        description="the date that some chat templates write, such as 2026-07-31; default: the day on which "
        "the run began, which a resumed run keeps (commands without a run: today)",
    )

    @model_validator(mode="after")
    def _strings_or_a_name(self) -> Self:
        given = [key for key in ("open", "close") if getattr(self, key) is not None]
        if self.name == "custom" and len(given) < 2:
            raise ValueError(f"name=custom needs open and close, got {' and '.join(given) or 'neither'}")
        if self.name not in ("auto", "custom") and given:
            raise ValueError(
                f"name={self.name} sets open and close itself; leave out {' and '.join(given)} "
                "(null removes what a parent recipe sets), or write name=custom"
            )
        return self


class DataSection(Section):
    traces: TracesSection
    on_error: Literal["stop", "skip"] = Field(
        default="stop",
        description="stop: an unreadable row stops the run, which shows the first five faults and how many there are; "
        "skip: such rows are skipped, counted and listed",
    )
    filters: FiltersSection = FiltersSection()
    duplicates: DuplicatesSection = DuplicatesSection()
    decontaminate: DecontaminateSection = DecontaminateSection()
    verify: VerifySection | None = Field(
        default=None, description="check each answer against the gold answer of its row; {} for the usual rules"
    )
    select: SelectSection | None = Field(
        default=None, description="keep only traces of a certain difficulty, by the models' loss on them"
    )
    max_length_tokens: int = Field(
        ge=8, description="longest prompt + thought + answer; `overlong` decides about longer traces"
    )
    overlong: Literal["drop", "error", "shorten"] = Field(
        default="drop",
        description="traces over max_length_tokens: drop and count them, stop with an error, or shorten the thinking "
        "by whole steps from its middle (counted); a trace is never simply truncated",
    )
    labelled_tokens: int | None = Field(
        default=None,
        ge=1,
        description="take traces, in order, until this many labelled tokens are reached (the others are counted as "
        "lost), so that pools of long and of short traces can be compared; default: all",
    )
    packing: bool = Field(
        default=False,
        description="train on several whole traces per row of max_length_tokens (best fit; traces do not attend to "
        "each other)",
    )
    cache_dir: Path = Field(
        default=Path("runs/cache/data"),
        description="folder of prepared sets; with several machines, on a shared file system",
    )
    workers: int | None = Field(
        default=None, ge=1, description="threads that tokenise batches in parallel; default: one per core"
    )
    format: FormatSection = FormatSection()
