"""Grades answers from any tool.

    python -m eval.grade FILE.jsonl out=FILE [grader=math] [open=<think>] [close=</think>] [opened=text|prompt]

A row {id, gold, text} gains {correct, extracted, reason}; its other keys and the order of rows are kept. The text may
be a whole transcript with its thinking: only the text after the last close is graded. `gold` is a text, a number, or a
list: a single entry is the gold answer, several are one answer in parts (grader=math). docs/grading.md says which
answers are equal.

    open … close answer     the answer is graded
    … close answer          the same: the prompt had opened the thought
    open …                  wrong, with the reason "unclosed thought", and counted like any other row
    answer                  graded as it is; with opened=prompt it is an unclosed thought, and wrong

The accuracy is printed with its 95 % interval, clustered by id.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_prep.grading.grade import Grade, grade_all
from data_prep.grading.numerals import as_text
from data_prep.traces.rows import jsonl_rows
from recipes.command import run, split
from recipes.errors import UserError
from runtime.files import replacing

GRADERS = ("math", "integer", "exact", "choice")
KEYS = {
    "out": "the file to write; an existing file is never overwritten",
    "grader": f"how an answer is compared with the gold answer: {', '.join(GRADERS)} (default math)",
    "open": "text that opens a thought (default <think>)",
    "close": "text that closes a thought (default </think>)",
    "opened": "what opens a thought: text (default), or prompt; with prompt, a text without a close is unclosed",
}


def main(arguments: list[str]) -> None:
    """Grades one file."""
    chosen, files = split(arguments, KEYS)
    if len(files) != 1 or not chosen.get("out"):
        raise UserError(f"eval.grade: give one FILE.jsonl and out=FILE, got {' '.join(arguments) or 'nothing'}")
    grader, out = chosen.get("grader", "math"), Path(chosen["out"])
    if grader not in GRADERS:
        raise UserError(f"grader={grader}: not a grader of this command; allowed: {', '.join(GRADERS)}")
    marks = chosen.get("open", "<think>"), chosen.get("close", "</think>")
    if not all(marks):
        raise UserError("open= and close= must not be empty; leave them out for <think> and </think>")
    if out.exists():
        raise UserError(f"out={out}: exists already; name another file, or remove it first")
    if not out.parent.is_dir():
        raise UserError(f"out={out}: there is no folder {out.parent}")
    opened = chosen.get("opened", "text")
    if opened not in ("text", "prompt"):
        raise UserError(f"opened={opened}: unknown; allowed: text, prompt")
    rows = read_rows(Path(files[0]), grader)
    opening = marks[0] if opened == "prompt" else ""
    grades = grade_texts(
        [opening + row["text"] for row in rows], [gold_text(row["gold"], grader) for row in rows], grader, marks
    )
    write_rows(out, rows, grades)
    print(summary(rows, grades))


def read_rows(path: Path, grader: str = "math") -> list[dict[str, Any]]:
    """The rows of a file; raises UserError with file:line if one lacks an id, a gold answer or a text."""
    rows = []
    for where, row in jsonl_rows(path, "eval.grade"):
        if isinstance(row, ValueError):
            raise UserError(f"{where}: {row}")
        if not isinstance(row, dict):
            raise UserError(f"{where}: a row must be an object {{id, gold, text}}, got {type(row).__name__}")
        _check(where, row, grader)
        rows.append(row)
    if not rows:
        raise UserError(f"eval.grade: {path} has no rows")
    return rows


def _check(where: str, row: dict[str, Any], grader: str) -> None:
    if not isinstance(row.get("id"), str | int):
        raise UserError(f"{where}: 'id' must be a text or an integer, got {row.get('id')!r}")
    try:
        gold_text(row.get("gold"), grader)
    except ValueError as fault:
        raise UserError(f"{where}: {fault}") from None
    if not isinstance(row.get("text"), str):
        raise UserError(f"{where}: 'text' must be text, got {type(row.get('text')).__name__}")


def gold_text(gold: Any, grader: str) -> str:
    """A gold answer as text: numbers without exponent, parts of a list joined by commas. ValueError for others."""
    if isinstance(gold, list):
        if not gold or any(isinstance(part, list) for part in gold):
            raise ValueError(f"'gold' must be a text, a number, or a non-empty list of these, got {gold!r}")
        if len(gold) > 1 and grader != "math":
            raise ValueError(f"'gold' has {len(gold)} parts: only grader=math reads an answer in parts, got {gold!r}")
        return ", ".join(gold_text(part, grader) for part in gold)
    if not isinstance(gold, str | int | float) or not str(gold).strip():
        raise ValueError(f"'gold' must be a non-empty text or a number, got {gold!r}")
    if isinstance(gold, float) and not math.isfinite(gold):
        raise ValueError(f"'gold' must be a finite number, got {gold!r}")
    return gold if isinstance(gold, str) else as_text(gold)


def grade_texts(texts: Sequence[str], golds: Sequence[str], grader: str, marks: tuple[str, str]) -> list[Grade]:
    """One grade per transcript, in order; `marks` open and close a thought."""
    answers = [text.rpartition(marks[1])[2] for text in texts]
    closed = [i for i, answer in enumerate(answers) if marks[0] not in answer]
    graded = grade_all([answers[i] for i in closed], [golds[i] for i in closed], grader)
    by_index = dict(zip(closed, graded, strict=True))
    return [by_index.get(i, Grade(False, "", "unclosed thought")) for i in range(len(texts))]


def write_rows(out: Path, rows: Sequence[dict[str, Any]], grades: Sequence[Grade]) -> None:
    """The rows with their grades, written atomically; never overwrites a file that appeared in the meantime."""
    try:
        with replacing(out) as temporary, temporary.open("w", encoding="utf-8") as file:
            for row, grade in zip(rows, grades, strict=True):
                judged = {"correct": grade.correct, "extracted": grade.extracted, "reason": grade.reason}
                file.write(json.dumps({**row, **judged}) + "\n")
            # grading takes minutes: another process may have written the file since `main` looked
            if out.exists():
                raise UserError(f"out={out}: exists already; name another file, or remove it first")
    except OSError as fault:
        raise UserError(f"out={out}: cannot be written ({fault})") from None


def summary(rows: Sequence[dict[str, Any]], grades: Sequence[Grade]) -> str:
    """Accuracy with its interval, and the number of rows per reason."""
    import numpy as np

    from eval.numbers.statistics import accuracy_interval

    by_id: dict[str, list[bool]] = defaultdict(list)
    for row, grade in zip(rows, grades, strict=True):
        by_id[str(row["id"])].append(grade.correct)
    means = np.array([np.mean(group) for group in by_id.values()])
    low, high = accuracy_interval(means)
    reasons = Counter(grade.reason for grade in grades)
    lines = [
        f"accuracy {means.mean():.4f} [{low:.4f}, {high:.4f}], 95 % interval; {len(rows)} answers to {len(by_id)} "
        f"problems, {sum(grade.correct for grade in grades)} correct"
    ]
    return "\n".join(lines + [f"{count:7d}  {reason}" for reason, count in reasons.most_common()])


if __name__ == "__main__":
    run(main)
