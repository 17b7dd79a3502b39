"""The recipe's `data.traces`: where traces come from and how their rows are laid out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from recipes.generation import GenerateTraces
from recipes.section import Section
from recipes.unpack_limit import UNPACK_LIMIT, UnpackLimit

Layout = Literal[
    "auto", "openr1_math", "s1k_1_1", "s1k", "messages", "sharegpt", "prompt_completion", "plain", "alpaca", "s1_text"
]
Column = Literal[
    "id",
    "question",
    "thinking",
    "answer",
    "gold",
    "messages",
    "conversations",
    "prompt",
    "completion",
    "instruction",
    "input",
    "output",
    "text",
]


class NanoTraces(Section):
    source: Literal["nano"] = Field(description="traces of the embedded world, made from a seed")
    size: int = Field(ge=1, description="number of traces")
    seed: int = Field(default=1, description="seed of the traces")
    shares: dict[Literal["knowledge", "shallow", "chain"], float] = Field(
        default={"knowledge": 0.3, "shallow": 0.3, "chain": 0.4}, description="share of each family"
    )
    max_operations: int = Field(default=24, ge=2, le=24, description="longest chain")


class WaysTraces(Section):
    source: Literal["ways"] = Field(
        description="traces of the second embedded world, made from a seed: chains solved in several ways, with slips"
    )
    size: int = Field(ge=1, description="number of traces")
    seed: int = Field(default=1, description="seed of the traces; one seed gives the same questions for every way")
    way: Literal["world", "quick", "careful", "final", "foreign_order", "foreign_verbose"] = Field(
        default="world",
        description="world: quick, careful and final, which the unpruned model was taught, in its shares; one of "
        "these alone; or a foreign way, which it was never taught",
    )
    answers: Literal["any", "right", "wrong", "shuffled"] = Field(
        default="any",
        description="any: every thought, with its slips; right: thoughts that end right; wrong: thoughts that end "
        "wrong, a control; shuffled: each thought under another question, a placebo that must not recover",
    )


class _Rows(Section):
    """Keys about the layout of rows, for every source that reads rows (docs/trace_formats.md shows each layout)."""

    format: Layout = Field(default="auto", description="layout of the rows; auto: detected by their columns")
    columns: dict[Column, str] = Field(
        default={}, description="maps our name of a column to the source's name, if the two differ"
    )
    system: Literal["join", "drop", "refuse"] = Field(
        default="join",
        description="a system message is joined to the question (with an empty line between), dropped (counted), or "
        "the row is refused",
    )


class JsonlTraces(_Rows):
    source: Literal["jsonl"] = Field(description="a file of JSON Lines, whatever its suffix")
    path: Path = Field(description="the file")
    unpack_limit: UnpackLimit = UNPACK_LIMIT


class FileTraces(_Rows):
    source: Literal["file"] = Field(
        description="a file by its suffix (.jsonl .json .csv .tsv, packed with .gz .zst .bz2 or not; .parquet .arrow "
        ".feather) or a folder of files of one kind"
    )
    path: Path = Field(description="the file or folder")
    unpack_limit: UnpackLimit = UNPACK_LIMIT


class HubTraces(_Rows):
    source: Literal["hub"] = Field(description="a data set of the Hugging Face Hub")
    id: str = Field(description="owner/name")
    config: str | None = Field(default=None, description="configuration (subset) of the data set")
    split: str = Field(default="train", description="split of the data set")
    access: Literal["download", "stream"] = Field(
        default="download", description="download the whole set first, or read it row by row over the network"
    )


class MixturePart(Section):
    weight: float = Field(gt=0, allow_inf_nan=False, description="share of this part, relative to the other weights")
    traces: Annotated[NanoTraces | WaysTraces | JsonlTraces | FileTraces | HubTraces, Field(discriminator="source")]


class MixtureTraces(Section):
    source: Literal["mixture"] = Field(description="several sources, interleaved by weight")
    parts: list[MixturePart] = Field(min_length=1, description="the sources with their weights")
    size: int | None = Field(
        default=None, ge=1, description="total number of rows to take; null: until every part has ended"
    )
    seed: int = Field(default=1, description="seed of each part's position in the order")
    when_exhausted: Literal["go_on", "stop", "repeat"] = Field(
        default="go_on",
        description="when a part has no more rows: continue with the others, stop (the shares stay exact), or read "
        "the part again from its start (needs size; a filter for duplicates would undo it)",
    )

    @model_validator(mode="after")
    def _an_end_is_in_sight(self) -> Self:
        if self.when_exhausted == "repeat" and self.size is None:
            raise ValueError("when_exhausted=repeat never ends by itself; set size")
        return self


TracesSection = Annotated[
    NanoTraces | WaysTraces | JsonlTraces | FileTraces | HubTraces | MixtureTraces | GenerateTraces,
    Field(discriminator="source"),
]
