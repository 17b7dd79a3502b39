"""The types of an evaluation: a thought, its forced answers, their grades, and the sweep of one suite."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Stop = Literal["close", "eos", "budget", "loop"]
WhichModel = Literal["unpruned", "pruned", "run"]
SWEEP_KEY = ("step", "model", "suite", "budget")
"""the fields by which a row of sweeps.jsonl is unique"""


@dataclass(frozen=True)
class Request:
    """One thought that an engine is to write.

    prompt_ids: end with the think-open string. off_ids: the whole prompt of the answer with thinking off, including the
    cue; needed where the budgets begin with 0.
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
    """The model's answer where its thought ends after `thinking_tokens` tokens; it counts for all of `budgets`."""

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
        """The thought as a line of a journal."""
        return asdict(self)

    @staticmethod
    def of_row(row: dict[str, Any]) -> Thought:
        """The inverse of `row`, also after JSON has made lists of the tuples."""
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
    """The weights that are swept: `model` for the engine in process, `folder` for one that loads them itself.

    folder: a checkpoint's folder or Hub id; adapter: the folder of a LoRA adapter on top of it; devices: the GPUs of an
    engine with a process of its own (None: all that this process sees). An endpoint needs none of these.
    """

    model: PreTrainedModel | None = None
    folder: str = ""
    adapter: str | None = None
    dtype: str = "float32"
    trust_remote_code: bool = False
    devices: str | None = None


class Engine(Protocol):
    """Decodes thoughts and their answers by the protocol; yields each as soon as it is finished, in any order."""

    def think(self, requests: Sequence[Request]) -> Iterator[Thought | Missing]: ...


@dataclass(frozen=True)
class Score:
    """The grade of one (problem, sample, budget).

    closed: the model ended the thought by itself after as many tokens as the budget, or fewer (its close is not
    counted); cut: the answer hit the token limit; looping: the thinking up to this budget ends in a repetition;
    voted: what the answer votes for, "" for the extracted text itself.
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
        """The candidate of a vote among thoughts; "" where the answer gives none."""
        return self.voted or self.extracted


@dataclass(frozen=True)
class Judgement:
    """What a judge counted in one thought, by behaviour; None with the reason in `failure` where it failed.

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
    0); chance: the accuracy of guessing among choices, where there are any. groups: what problems share
    (`Problem.group`), by problem; None where nothing is known.
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
