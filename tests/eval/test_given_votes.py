"""maj@k of a file of graded thoughts that carry what they answered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eval.given_votes import add_majority
from recipes.errors import UserError


def written(path: Path, answers: list[str | None], correct: list[bool]) -> Path:
    rows: list[dict[str, Any]] = []
    for budget in (8, 16):
        for sample, (answer, grade) in enumerate(zip(answers, correct, strict=True)):
            row = {"problem": "p", "sample": sample, "budget": budget, "correct": grade and budget == 16}
            rows.append(row if answer is None else {**row, "answer": answer})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def report(samples: int) -> dict[str, Any]:
    return {"models": {"run": {"samples": samples}}}


def test_votes_are_counted_at_the_largest_budget(tmp_path: Path) -> None:
    path = written(tmp_path / "f.jsonl", ["1/2", "0.5", "2", "2 "], [True, True, False, False])
    rows = add_majority(report(4), path)["models"]["run"]["maj_at_k"]
    # two right in two spellings against two equal wrong: a tie of four; of pairs 1 is won, 4 are ties, 1 is lost
    assert [(row["k"], row["value"]) for row in rows] == [(1, 0.5), (2, pytest.approx(0.5)), (4, 0.5)]


@pytest.mark.parametrize(("answers", "samples"), [([None, None], 2), (["1"], 1)])
def test_without_answers_or_with_one_thought_there_is_no_vote(
    answers: list[str | None], samples: int, tmp_path: Path
) -> None:
    path = written(tmp_path / "f.jsonl", answers, [True] * len(answers))
    assert add_majority(report(samples), path)["models"]["run"]["maj_at_k"] is None


def test_answers_in_some_rows_alone_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="1 of 2 rows at budget 16 have an answer"):
        add_majority(report(2), written(tmp_path / "f.jsonl", ["1", None], [True, True]))
