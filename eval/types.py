"""The types of an evaluation: a thought, its forced answers, their grades, and the sweep of one suite."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from eval.engines.pace import Pace

Stop = Literal["close", "eos", "budget", "loop"]
WhichModel = Literal["unpruned", "pruned", "run"]
SWEEP_KEY = ("step", "model", "suite", "budget")
"""the fields that together identify a row of sweeps.jsonl"""


@dataclass(frozen=True)
class Request:
    """A request to an engine for one thought.

    prompt_ids: end with the think-open string. off_ids: the whole prompt of the answer with thinking off, including the
    cue; needed if the first budget is 0.
    """

    problem: str
    sample: int
    prompt_ids: tuple[int, ...]
    off_ids: tuple[int, ...] = ()

    @property
    def longest_prompt_tokens(self) -> int:
        """The longer of its prompts: what a row of a cache must hold before any thought or answer."""
        return max(len(self.prompt_ids), len(self.off_ids))


@dataclass(frozen=True)
class Answer:
    """The model's answer after `thinking_tokens` tokens of its thought; it counts for all of `budgets`."""

    budgets: tuple[int, ...]
    thinking_tokens: int
    answer_ids: tuple[int, ...]
    finished: bool


@dataclass(frozen=True)
class Thought:
    """One thought (token ids without the close), why it stopped, and its answers by increasing budget."""

    problem: str
    sample: int
    thinking_ids: tuple[int, ...]
    stop: Stop
    extensions: int
    answers: tuple[Answer, ...]

    def row(self) -> dict[str, Any]:
        """The thought as a journal row."""
        return asdict(self)

    @staticmethod
    def of_row(row: dict[str, Any]) -> Thought:
        """The inverse of `row`, also after JSON has turned tuples into lists."""
        answers = tuple(
            Answer(tuple(a["budgets"]), a["thinking_tokens"], tuple(a["answer_ids"]), a["finished"])
            for a in row["answers"]
        )
        return Thought(**{**row, "thinking_ids": tuple(row["thinking_ids"]), "answers": answers})


@dataclass(frozen=True)
class Missing:
    """A thought that failed, and why; it is never counted as wrong."""

    problem: str
    sample: int
    reason: str


@dataclass(frozen=True)
class Weights:
    """The weights of a sweep: `model` for the in-process engine, `folder` for one that loads them itself.

    folder: a checkpoint's folder or Hub id; adapter: the folder of a LoRA adapter on top of it; devices: the GPUs of an
    engine in a separate process (None: all that this process sees). An endpoint needs none of these.
    """

    model: PreTrainedModel | None = None
    folder: str = ""
    adapter: str | None = None
    dtype: str = "float32"
    trust_remote_code: bool = False
    devices: str | None = None


class Engine(Protocol):
    """Decodes thoughts and their answers by the protocol; yields each as soon as it is finished, in any order."""

    pace: Pace

    def think(self, requests: Sequence[Request]) -> Iterator[Thought | Missing]: ...


@dataclass(frozen=True)
class Score:
    """The grade of one (problem, sample, budget).

    closed: the model terminated the thought after as many tokens as the budget, or fewer (its close is not counted);
    cut: the answer hit the token limit; looping: the thinking up to this budget ends in a repetition; voted: the
    answer's vote, "" for the extracted text itself.
    """

    problem: str
    sample: int
    budget: int
    correct: bool
    extracted: str
    reason: str
    thinking_tokens: int
    answer_tokens: int
    closed: bool
    cut: bool
    looping: bool
    voted: str = ""

    @property
    def candidate(self) -> str:
        """The answer's candidate in a vote among thoughts; "" if it gives none."""
        return self.voted or self.extracted


@dataclass(frozen=True)
class Judgement:
    """A judge's counts for one thought, by behaviour; None, with the reason in `failure`, if it failed.

    words: of the part that it saw; cut: that part was not the whole thought.
    """

    judge: str
    words: int
    cut: bool
    counts: dict[str, int] | None
    failure: str = ""


@dataclass(frozen=True)
class SuiteSweep:
    """All scores of one model on one suite at one training step. `scores` hold every (problem, sample, budget) once.

    missing: thoughts that failed; they have no score. method: generate or likelihood (then the only budget is
    0); chance: the accuracy of guessing among choices, if there are any. groups: the group of each problem
    (`Problem.group`); None if unknown.
    """

    model: WhichModel
    step: int
    suite: str
    budgets: tuple[int, ...]
    scores: tuple[Score, ...]
    protocol: str
    missing: int = 0
    style: dict[str, Any] | None = None
    method: str = "generate"
    chance: float | None = None
    groups: dict[str, str] | None = None
