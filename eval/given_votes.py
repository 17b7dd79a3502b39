"""Majority votes on graded thoughts of any tool, if the rows of `eval.verdict` contain the answers.

The key is "answer": a text by which equal answers are grouped, "" for a thought without an answer. Rows graded correct
are one candidate, whatever their text.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from data_prep.traces.rows import jsonl_rows
from eval.numbers.majority import majority_rows
from recipes.errors import UserError


def add_majority(report: dict[str, Any], path: Path) -> dict[str, Any]:
    """The report of `eval.verdict` with `maj_at_k` for every model that has answers: maj@k at the largest budget.

    None without answers, or with one thought per problem. `path`: the file, whose rows have been checked already.
    Raises UserError if some rows at the largest budget have an answer and others have none.
    """
    rows = [row for _, row in jsonl_rows(path, "eval.verdict")]
    largest = max(row["budget"] for row in rows)
    votes: dict[str, dict[str, tuple[list[str], list[bool]]]] = defaultdict(lambda: defaultdict(lambda: ([], [])))
    at_largest = [row for row in rows if row["budget"] == largest]
    have = sum(isinstance(row.get("answer"), str) for row in at_largest)
    if have not in (0, len(at_largest)):
        raise UserError(
            f"{path}: {have} of {len(at_largest)} rows at budget {largest} have an answer (a text); give one in every "
            'row ("" for a thought without an answer), or in none'
        )
    for row in at_largest if have else []:
        answers, correct = votes[row.get("model") or "run"][str(row["problem"])]
        answers.append(row["answer"].strip())
        correct.append(bool(row["correct"]))
    for name, numbers in report["models"].items():
        numbers["maj_at_k"] = majority_rows(votes[name]) if have and numbers["samples"] > 1 else None
    return report
