r"""Known benchmarks as one table: data set on the Hub, columns, grader, and the instruction for the answer.

A new benchmark is one entry of BENCHMARKS: the recipe's allowed names, the help text and the loader all read it here.
A column has several names if copies of the benchmark differ; the first one present in a row is used.
"""

from __future__ import annotations

from dataclasses import dataclass

BOXED = r"Please reason step by step, and put your final answer within \boxed{}."
BOXED_LETTER = r"Please reason step by step, and put the letter of the correct choice within \boxed{}."


@dataclass(frozen=True)
class Columns:
    """Names that a column may have, the likeliest first; `wrong`: the wrong choices (`answer` is the right one)."""

    id: tuple[str, ...] = ("id",)
    problem: tuple[str, ...] = ("problem", "question")
    answer: tuple[str, ...] = ("answer",)
    choices: tuple[str, ...] = ("choices",)
    wrong: tuple[str, ...] = ()
    group: tuple[str, ...] = ("group",)


@dataclass(frozen=True)
class Benchmark:
    """Data set (`hub`, `config`, `split`), grader and columns; `gold_after`: the text before the gold answer.

    likelihood: what is scored with method=likelihood, as is usual for this benchmark.
    """

    hub: str
    config: str | None
    split: str
    grader: str
    instruction: str
    columns: Columns = Columns()
    gold_after: str = ""
    shuffle_choices: bool = False
    likelihood: str = "letter"

    @property
    def has_choices(self) -> bool:
        """Whether it is multiple choice and can therefore be scored by likelihood."""
        return self.grader == "choice"


BENCHMARKS = {
    "math500": Benchmark("HuggingFaceH4/MATH-500", None, "test", "math", BOXED, Columns(id=("unique_id", "id"))),
    "aime24": Benchmark("HuggingFaceH4/aime_2024", None, "train", "integer", BOXED),
    "aime25": Benchmark("math-ai/aime25", None, "test", "integer", BOXED),
    "amc23": Benchmark("math-ai/amc23", None, "test", "integer", BOXED),
    "gsm8k": Benchmark("openai/gsm8k", "main", "test", "integer", BOXED, gold_after="####"),
    "gpqa_diamond": Benchmark(
        "Idavidrein/gpqa",
        "gpqa_diamond",
        "train",
        "choice",
        BOXED_LETTER,
        shuffle_choices=True,
        columns=Columns(
            id=("Record ID", "id"),
            problem=("Question", "question", "problem"),
            answer=("Correct Answer", "answer"),
            wrong=("Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3"),
        ),
    ),
    "mmlu": Benchmark("cais/mmlu", "all", "test", "choice", BOXED_LETTER),
    "arc_challenge": Benchmark(
        "allenai/ai2_arc",
        "ARC-Challenge",
        "test",
        "choice",
        BOXED_LETTER,
        Columns(answer=("answerKey", "answer")),
        likelihood="text_normalised",
    ),
}
