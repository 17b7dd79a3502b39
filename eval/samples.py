"""Every thought and answer with its grade (`GradedThought`), as the rows of a samples file, and back."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from data_prep.grading.grade import Grade, grade_all
from data_prep.problem import Suite
from eval.looping import is_looping
from eval.numbers.style import style_row
from eval.protocol import Protocol
from eval.types import Answer, Judgement, Missing, Score, Stop, SuiteSweep, Thought


@dataclass(frozen=True)
class GradedAnswer:
    """One answer as text with its grade; it serves every budget in `budgets`.

    looping: the thinking before it ends in a loop.
    """

    budgets: tuple[int, ...]
    thinking_tokens: int
    answer_tokens: int
    finished: bool
    looping: bool
    text: str
    grade: Grade


@dataclass(frozen=True)
class GradedThought:
    """One thought as text with its graded answers; `failure` says why there is none, then there are no answers."""

    problem: str
    sample: int
    stop: Stop
    extensions: int
    thinking: str
    answers: tuple[GradedAnswer, ...]
    failure: str = ""
    judged: Judgement | None = None

    def scores(self) -> list[Score]:
        """One score a budget."""
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
                closed=self.stop == "close" and answer is self.answers[-1],
                cut=not answer.finished,
                looping=answer.looping,
            )
            for answer in self.answers
            for budget in answer.budgets
        ]

    def row(self) -> dict[str, Any]:
        """The row of a samples file."""
        answers = [
            {
                "budgets": list(a.budgets),
                "thinking_tokens": a.thinking_tokens,
                "answer_tokens": a.answer_tokens,
                "finished": a.finished,
                "looping": a.looping,
                "text": a.text,
                "correct": a.grade.correct,
                "extracted": a.grade.extracted,
                "reason": a.grade.reason,
            }
            for a in self.answers
        ]
        return {
            "problem": self.problem,
            "sample": self.sample,
            "stop": self.stop,
            "extensions": self.extensions,
            "thinking": self.thinking,
            "answers": answers,
            "failure": self.failure,
            "judged": asdict(self.judged) if self.judged else None,
        }

    @staticmethod
    def of_row(row: dict[str, Any]) -> GradedThought:
        """The inverse of `row`."""
        answers = tuple(
            GradedAnswer(
                budgets=tuple(a["budgets"]),
                thinking_tokens=a["thinking_tokens"],
                answer_tokens=a["answer_tokens"],
                finished=a["finished"],
                looping=a["looping"],
                text=a["text"],
                grade=Grade(a["correct"], a["extracted"], a["reason"]),
            )
            for a in row["answers"]
        )
        return GradedThought(
            problem=row["problem"],
            sample=row["sample"],
            stop=row["stop"],
            extensions=row["extensions"],
            thinking=row["thinking"],
            answers=answers,
            failure=row["failure"],
            judged=Judgement(**row["judged"]) if row.get("judged") else None,
        )


def grade_thoughts(
    found: Sequence[Thought | Missing], suite: Suite, protocol: Protocol, tokenizer: PreTrainedTokenizerBase
) -> list[GradedThought]:
    """Grades every answer of every thought; what is graded is the cue and the answer, never the thought."""
    thoughts = [one for one in found if isinstance(one, Thought)]
    missing = [
        GradedThought(one.problem, one.sample, "budget", 0, "", (), one.reason)
        for one in found
        if isinstance(one, Missing)
    ]
    gold = {problem.id: problem.answer for problem in suite.problems}
    answers = [(thought, answer) for thought in thoughts for answer in thought.answers]
    texts = [answer_text(answer.answer_ids, protocol, tokenizer) for _, answer in answers]
    grades = grade_all(texts, [gold[thought.problem] for thought, _ in answers], suite.grader)
    graded: dict[tuple[str, int], list[GradedAnswer]] = {}
    for (thought, answer), text, grade in zip(answers, texts, grades, strict=True):
        graded.setdefault((thought.problem, thought.sample), []).append(
            GradedAnswer(
                budgets=answer.budgets,
                thinking_tokens=answer.thinking_tokens,
                answer_tokens=len(answer.answer_ids),
                finished=answer.finished,
                looping=_loops(thought, answer),
                text=text,
                grade=grade,
            )
        )
    return [
        GradedThought(
            problem=t.problem,
            sample=t.sample,
            stop=t.stop,
            extensions=t.extensions,
            thinking=str(tokenizer.decode(list(t.thinking_ids))),
            answers=tuple(graded[t.problem, t.sample]),
        )
        for t in thoughts
    ] + missing


def _loops(thought: Thought, answer: Answer) -> bool:
    """A thought that a loop stopped loops there, also where the beginning of a close mark was taken off its end."""
    stopped = thought.stop == "loop" and answer is thought.answers[-1]
    return stopped or is_looping(thought.thinking_ids[: answer.thinking_tokens])


def answer_text(answer_ids: Sequence[int], protocol: Protocol, tokenizer: PreTrainedTokenizerBase) -> str:
    """What stands after the close: the cue and the answer, as one text."""
    fmt = protocol.format
    text = str(tokenizer.decode([*fmt.own_close_ids, *answer_ids], skip_special_tokens=False))
    return text.rsplit(fmt.close_tag, 1)[-1].strip()


def write_samples(path: Path, sweep_header: dict[str, Any], thoughts: Iterable[GradedThought]) -> None:
    """A header line and one line a thought; written whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w", encoding="utf-8") as file:
        for row in [sweep_header, *(thought.row() for thought in thoughts)]:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    temporary.replace(path)


def read_sweep(path: Path) -> SuiteSweep:
    """The sweep that a samples file holds."""
    with path.open(encoding="utf-8") as file:
        header, *rows = (json.loads(line) for line in file)
    thoughts = [GradedThought.of_row(row) for row in rows]
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
    )


def sweep_style(method: str, thoughts: Sequence[GradedThought]) -> dict[str, Any] | None:
    """How the finished thoughts of a sweep are written; None where the method writes no thoughts."""
    if method != "generate":
        return None
    finished = [thought for thought in thoughts if not thought.failure]
    judgements = [thought.judged for thought in finished if thought.judged is not None]
    return style_row([thought.thinking for thought in finished], judgements)
