"""The data's part of a recipe: where traces come from, how a thought is written, what is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from recipes.section import Section


class NanoTraces(Section):
    source: Literal["nano"] = Field(description="traces of the embedded world, made from a seed")
    size: int = Field(ge=1, description="how many traces")
    seed: int = Field(default=1, description="seed of the traces")
    shares: dict[Literal["knowledge", "shallow", "chain"], float] = Field(
        default={"knowledge": 0.3, "shallow": 0.3, "chain": 0.4}, description="share of each family")
    max_operations: int = Field(default=24, ge=2, le=24, description="longest chain")


class JsonlTraces(Section):
    source: Literal["jsonl"] = Field(
        description="a JSON Lines file: {question, thinking, answer} or {messages} with reasoning_content")
    path: Path = Field(description="the file")


class HubTraces(Section):
    source: Literal["hub"] = Field(
        description="a data set of the Hugging Face Hub with the columns of a JSON Lines trace file")
    id: str = Field(description="owner/name")
    split: str = Field(default="train", description="split of the data set")
    columns: dict[Literal["question", "thinking", "answer", "messages"], str] = Field(
        default={}, description="our name to the data set's column name, where they differ")


TracesSection = Annotated[NanoTraces | JsonlTraces | HubTraces, Field(discriminator="source")]


class FormatSection(Section):
    """How a thought is written. The marks (open and close without white space) must be in the tokenizer's reach."""

    name: Literal["auto", "qwen3", "qwq", "deepseek_r1", "s1", "think", "custom"] = Field(
        default="auto",
        description="a known format (think: any tokenizer with <think> and </think>), or custom: open and close are "
                    "given; auto: custom where they are, else by the tokenizer's template")
    open: str | None = Field(
        default=None,
        description="text that opens the thought, appended to the prompt unless the template ends with it; "
                    "default: that of the named format")
    close: str | None = Field(
        default=None,
        description="text between thought and answer, and what budget forcing appends; default: the named one")
    cue: str = Field(
        default="", description="answer cue appended after the close in a sweep, so that the answer comes at once")
    wait: str = Field(default="Wait", description="text appended where the thought is extended")
    stop: str | None = Field(
        default=None, description="the stop token that ends an answer; default: the tokenizer's end-of-sequence token")

    @model_validator(mode="after")
    def _strings_or_a_name(self) -> Self:
        given = [key for key in ("open", "close") if getattr(self, key) is not None]
        if self.name == "custom" and len(given) < 2:
            raise ValueError(f"name=custom needs open and close, got {' and '.join(given) or 'neither'}")
        if self.name not in ("auto", "custom") and given:
            raise ValueError(f"name={self.name} sets open and close itself; leave out {' and '.join(given)} "
                             "(null takes back what a parent recipe gives), or write name=custom")
        return self


class DataSection(Section):
    traces: TracesSection
    max_length_tokens: int = Field(
        ge=8, description="longest prompt + thought + answer; longer traces are dropped and counted")
    format: FormatSection = FormatSection()
