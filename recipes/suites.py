"""The suites of a sweep: where problems come from and how they are graded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from recipes.benchmarks import BENCHMARKS
from recipes.file_names import FileName
from recipes.section import Section
from recipes.unpack_limit import UNPACK_LIMIT, UnpackLimit

if TYPE_CHECKING:
    BenchmarkName = str
else:
    BenchmarkName = Literal[tuple(BENCHMARKS)]  # a list that a type checker cannot read, for messages and help
AS_TEXT = ", ".join(name for name, known in BENCHMARKS.items() if known.likelihood == "text_normalised")


class NanoSuite(Section):
    source: Literal["nano"] = Field(description="problems of the embedded worlds; chains and ways are held-out ones")
    name: FileName = Field(description="name in tables and curves, and of the folder of its samples; not a path")
    family: Literal["knowledge", "shallow", "chain", "ways"] = Field(
        description="recall, one step, or many steps of arithmetic: chain 2 to 24, ways (the second world) 2 to 16"
    )
    size: int = Field(ge=1, description="how many problems")
    seed: int = Field(default=0, description="seed of the problems")
    part: Literal["held_out", "training"] = Field(
        default="held_out",
        description="held-out chains, which are never trained on, or the others, as problems to write traces for",
    )


Method = Literal["generate", "likelihood"]
METHOD: Any = Field(
    default="generate",
    description="generate: think and answer; likelihood: the likeliest choice, without thinking (engine hf alone)",
)


GROUP: Any = Field(
    default="group",
    description="column that names a group of related problems (a subject, a contest's year, a template), if "
    "there is one; intervals are then clustered by group, and with only a few groups nothing can be "
    "decided",
)


class RowsSuite(Section):
    """Keys of the suites that are read from rows."""

    name: FileName = Field(description="name in tables and curves, and of the folder of its samples; not a path")
    problem: str = Field(default="problem", description="column of the question; `question` is detected")
    answer: str = Field(
        default="answer", description="column of the gold answer; of a multiple choice its letter or 0-based index"
    )
    choices: str = Field(
        default="choices", description="column of the choices, if there are any; they are written below the question"
    )
    group: str = GROUP
    grader: Literal["auto", "exact", "integer", "math", "choice"] = Field(
        default="auto",
        description="how an answer is compared with the gold answer; auto: choice if rows have choices, else math",
    )
    shuffle_choices: bool = Field(
        default=False, description="shuffle each problem's choices, in an order fixed by the seed and its id"
    )
    method: Method = METHOD
    likelihood: Literal["letter", "text", "text_normalised"] = Field(
        default="letter",
        description="text that is scored by likelihood: the letter after the lettered choices, or the choice's own "
        "text (text_normalised: per character)",
    )
    instruction: str = Field(
        default="",
        description="text below every question (by likelihood: before it), such as instructions how to answer",
    )
    size: int | None = Field(default=None, ge=1, description="number of problems, drawn by the seed; default: all")
    seed: int = Field(default=0, description="seed of the draw and of the order of choices")

    @model_validator(mode="after")
    def _likelihood_grades_itself(self) -> Self:
        if self.method == "likelihood" and self.grader not in ("auto", "choice"):
            raise ValueError(
                f"method=likelihood takes the likeliest choice and grades no text; leave out grader={self.grader}"
            )
        return self


class JsonlSuite(RowsSuite):
    source: Literal["jsonl"] = Field(
        description="a JSON Lines or CSV file: {problem, answer} and, optionally, id and choices"
    )
    path: Path = Field(description="the file; one that ends in .csv is read as CSV with a header")
    unpack_limit: UnpackLimit = UNPACK_LIMIT


class HubSuite(RowsSuite):
    source: Literal["hub"] = Field(description="a data set of the Hugging Face Hub")
    id: str = Field(description="owner/name")
    config: str | None = Field(default=None, description="configuration of the data set, if it has several")
    split: str = Field(default="test", description="split of the data set")


class NamedSuite(Section):
    source: Literal["named"] = Field(description="a known benchmark: its place, its columns and its grader are set")
    name: BenchmarkName = Field(description="the benchmark; also its name in tables and curves")
    path: Path | None = Field(
        default=None, description="your own copy (JSON Lines or CSV); default: the data set on the Hugging Face Hub"
    )
    unpack_limit: UnpackLimit = UNPACK_LIMIT
    instruction: str | None = Field(
        default=None,
        description="text below every question (by likelihood: before it); default: the benchmark's own, which asks "
        "for the answer in a box (by likelihood: none)",
    )
    method: Method = METHOD
    likelihood: Literal["letter", "text", "text_normalised"] | None = Field(
        default=None,
        description=f"what is scored by likelihood; default: text_normalised for {AS_TEXT}, else letter",
    )
    group: str = GROUP
    size: int | None = Field(default=None, ge=1, description="number of problems, drawn by the seed; default: all")
    seed: int = Field(default=0, description="seed of the draw and of the order of choices")

    @model_validator(mode="after")
    def _likelihood_needs_choices(self) -> Self:
        if self.method == "likelihood" and not BENCHMARKS[self.name].has_choices:
            raise ValueError(f"method=likelihood: {self.name} has no choices; write method=generate")
        return self


class ReasoningGymSuite(Section):
    source: Literal["reasoning_gym"] = Field(
        description="problems of a Reasoning Gym task, with its own scorer (extra reasoning-gym)"
    )
    name: FileName = Field(description="name in tables and curves, and of the folder of its samples; not a path")
    task: str = Field(description="name of the task, such as chain_sum")
    size: int = Field(ge=1, description="how many problems")
    seed: int = Field(default=0, description="seed of the problems")


SuiteSection = Annotated[
    NanoSuite | JsonlSuite | HubSuite | NamedSuite | ReasoningGymSuite, Field(discriminator="source")
]
