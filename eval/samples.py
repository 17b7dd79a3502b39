"""Every thought and answer with its grade (`GradedThought`), as the rows of a samples file, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from data_prep.grading.grade import Grade, grade_all
from data_prep.grading.votes import canonical
from data_prep.problem import Suite
from eval.cut_places import characters_after
from eval.looping import is_looping
from eval.numbers.style import style_row
from eval.protocol import Protocol
from eval.types import Answer, Judgement, Missing, Score, Stop, SuiteSweep, Thought
from recipes.errors import UserError
from runtime.files import as_lines
from runtime.seal import sealing


@dataclass(frozen=True)
class GradedAnswer:
    """One answer as text with its grade; it counts for every budget in `budgets`.

    looping: the thinking before it ends in a loop; voted: see `Score`; thinking_characters: how much of the thought's
    text its `thinking_tokens` are, None if unknown (`eval.cut_places`, or a file of an earlier version).
    """

    budgets: tuple[int, ...]
    thinking_tokens: int
    answer_tokens: int
    finished: bool
    looping: bool
    text: str
    grade: Grade
    voted: str = ""
    thinking_characters: int | None = None

    def row(self) -> dict[str, Any]:
        """Its entry in the row of its thought."""
        characters = self.thinking_characters
        return {
            "budgets": list(self.budgets),
            "thinking_tokens": self.thinking_tokens,
            **({} if characters is None else {"thinking_characters": characters}),
            "answer_tokens": self.answer_tokens,
            "finished": self.finished,
            "looping": self.looping,
            "text": self.text,
            "correct": self.grade.correct,
            "extracted": self.grade.extracted,
            "reason": self.grade.reason,
            **({"voted": self.voted} if self.voted else {}),
        }

    @staticmethod
    def of_row(row: dict[str, Any]) -> GradedAnswer:
        """The inverse of `row`."""
        return GradedAnswer(
            budgets=tuple(row["budgets"]),
            thinking_tokens=row["thinking_tokens"],
            answer_tokens=row["answer_tokens"],
            finished=row["finished"],
            looping=row["looping"],
            text=row["text"],
            grade=Grade(row["correct"], row["extracted"], row["reason"]),
            voted=row.get("voted", ""),
            thinking_characters=row.get("thinking_characters"),
        )


@dataclass(frozen=True)
class GradedThought:
    """One thought as text with its graded answers; a missing one has none, and `failure` says why.

    group: that of its problem; "" if it has none or the file is from an earlier version.
    """

    problem: str
    sample: int
    stop: Stop
    extensions: int
    thinking: str
    answers: tuple[GradedAnswer, ...]
    failure: str = ""
    judged: Judgement | None = None
    group: str = ""

    def scores(self) -> list[Score]:
        """One score per budget.

        The thought is closed at a budget if its own close follows as many thinking tokens as the budget, or fewer.
        """
        closed_after = self.answers[-1].thinking_tokens if self.stop == "close" and self.answers else None
        return [
            Score(
                problem=self.problem,
                sample=self.sample,
                budget=budget,
                correct=answer.grade.correct,
                extracted=answer.grade.extracted,
                reason=answer.grade.reason,
                thinking_tokens=answer.thinking_tokens,
                answer_tokens=answer.answer_tokens,
                closed=closed_after is not None and budget > 0 and closed_after <= budget,
                cut=not answer.finished,
                looping=answer.looping,
                voted=answer.voted,
            )
            for answer in self.answers
            for budget in answer.budgets
        ]

    def row(self) -> dict[str, Any]:
        """The row of a samples file."""
        return {
            "problem": self.problem,
            "sample": self.sample,
            "stop": self.stop,
            "extensions": self.extensions,
            "thinking": self.thinking,
            "answers": [answer.row() for answer in self.answers],
            "failure": self.failure,
            "judged": asdict(self.judged) if self.judged else None,
            **({"group": self.group} if self.group else {}),
        }

    @staticmethod
    def of_row(row: dict[str, Any]) -> GradedThought:
        """The inverse of `row`."""
        return GradedThought(
            problem=row["problem"],
            sample=row["sample"],
            stop=row["stop"],
            extensions=row["extensions"],
            thinking=row["thinking"],
            answers=tuple(map(GradedAnswer.of_row, row["answers"])),
            failure=row["failure"],
            judged=Judgement(**row["judged"]) if row.get("judged") else None,
            group=row.get("group", ""),
        )


def grade_thoughts(
    results: Sequence[Thought | Missing], suite: Suite, protocol: Protocol, tokenizer: PreTrainedTokenizerBase
) -> list[GradedThought]:
    """Grades every answer of every thought, missing ones last; only cue and answer are graded, never the thought."""
    thoughts = [result for result in results if isinstance(result, Thought)]
    missing = [
        GradedThought(result.problem, result.sample, "budget", 0, "", (), result.reason)
        for result in results
        if isinstance(result, Missing)
    ]
    gold = {problem.id: problem.answer for problem in suite.problems}
    answers = [(thought, answer) for thought in thoughts for answer in thought.answers]
    texts = [answer_text(answer.answer_ids, protocol, tokenizer) for _, answer in answers]
    grades = grade_all(texts, [gold[thought.problem] for thought, _ in answers], suite.grader)
    marks = zip(texts, grades, strict=True)
    graded = [
        _graded(thought, list(islice(marks, len(thought.answers))), suite.grader, tokenizer) for thought in thoughts
    ]
    return graded + missing


def _graded(
    thought: Thought, marks: Sequence[tuple[str, Grade]], grader: str, tokenizer: PreTrainedTokenizerBase
) -> GradedThought:
    """`marks`: text and grade of each of its answers."""
    thinking = str(tokenizer.decode(list(thought.thinking_ids)))
    counts = {answer.thinking_tokens for answer in thought.answers}
    places = characters_after(counts, thought.thinking_ids, thinking, tokenizer)
    answers = tuple(
        GradedAnswer(
            budgets=answer.budgets,
            thinking_tokens=answer.thinking_tokens,
            answer_tokens=len(answer.answer_ids),
            finished=answer.finished,
            looping=_loops(thought, answer),
            text=text,
            grade=grade,
            voted=_candidate(grade.extracted, grader),
            thinking_characters=places[answer.thinking_tokens],
        )
        for answer, (text, grade) in zip(thought.answers, marks, strict=True)
    )
    return GradedThought(thought.problem, thought.sample, thought.stop, thought.extensions, thinking, answers)


def _candidate(extracted: str, grader: str) -> str:
    """The answer's vote if it differs from the extracted text: equal answers are one candidate."""
    candidate = canonical(extracted, grader)
    return "" if candidate == extracted else candidate


def _loops(thought: Thought, answer: Answer) -> bool:
    """Whether the thinking before an answer ends in a loop.

    A thought that was stopped for its loop counts even if the last token of the loop was removed again because it
    was also the first token of a close mark.
    """
    stopped = thought.stop == "loop" and answer is thought.answers[-1]
    return stopped or is_looping(thought.thinking_ids[: answer.thinking_tokens])


def answer_text(answer_ids: Sequence[int], protocol: Protocol, tokenizer: PreTrainedTokenizerBase) -> str:
    """The text after the close: the cue and the answer."""
    fmt = protocol.format
    text = str(tokenizer.decode([*fmt.own_close_ids, *answer_ids], skip_special_tokens=False))
    return text.rsplit(fmt.close_tag, 1)[-1].strip()


def write_samples(path: Path, sweep_header: dict[str, Any], thoughts: Iterable[GradedThought]) -> None:
    """A header line and one line per thought; written atomically, and sealed."""
    with sealing(path) as temporary:
        rows = chain([sweep_header], (thought.row() for thought in thoughts))
        temporary.write_text(as_lines(rows), encoding="utf-8")


def read_sweep(path: Path) -> SuiteSweep:
    """The sweep in a samples file. Raises UserError if the file was edited or truncated."""
    try:
        with path.open(encoding="utf-8", newline="\n") as file:  # only a newline ends a line
            header, *rows = (json.loads(line) for line in file)
        return _sweep_of(header, [GradedThought.of_row(row) for row in rows])
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        raise UserError(f"{path}: damaged, not the samples file of a sweep ({fault}); remove it") from None


def _sweep_of(header: dict[str, Any], thoughts: list[GradedThought]) -> SuiteSweep:
    scores = tuple(score for thought in thoughts for score in thought.scores())
    return SuiteSweep(
        model=header["model"],
        step=header["step"],
        suite=header["suite"],
        budgets=tuple(header["budgets"]),
        scores=scores,
        protocol=header["protocol"],
        missing=sum(bool(thought.failure) for thought in thoughts),
        style=sweep_style(header.get("method", "generate"), thoughts),
        method=header.get("method", "generate"),
        chance=header.get("chance"),
        groups=groups_of(thoughts),
    )


def groups_of(thoughts: Iterable[GradedThought]) -> dict[str, str] | None:
    """The group of each problem that has one, by its id; None if none has."""
    return {thought.problem: thought.group for thought in thoughts if thought.group} or None


def sweep_style(method: str, thoughts: Sequence[GradedThought]) -> dict[str, Any] | None:
    """The writing style of a sweep's finished thoughts; None if the method writes no thoughts."""
    if method != "generate":
        return None
    finished = [thought for thought in thoughts if not thought.failure]
    judgements = [thought.judged for thought in finished if thought.judged is not None]
    return style_row([thought.thinking for thought in finished], judgements)
