"""Warnings about long answers: an answer that is long compared with the budget has room to reason unnoticed.

Reasoning in answers raises accuracy most at small budgets, and so flattens the gain that is judged.
"""

from __future__ import annotations

from collections.abc import Sequence

from eval.numbers.summary import Row, newest

LARGEST_SHARE = 0.1
"""share of the smallest budget; answers that use more cause a warning"""


def room_to_reason(budgets: Sequence[int], answer_tokens: int) -> str:
    """Before a sweep: a warning if the cap on answers exceeds a tenth of the smallest budget above 0; else ""."""
    smallest = _smallest(budgets)
    if not smallest or answer_tokens <= LARGEST_SHARE * smallest:
        return ""
    return (
        f"answers may take up to {answer_tokens:,} tokens, {answer_tokens / smallest:.0%} of the smallest budget "
        f"({smallest:,}): room to reason outside the budget; see answer_tokens in the results"
    )


def long_answers(rows: Sequence[Row], suite: str) -> list[str]:
    """After a sweep: one warning per model whose answers took more than a tenth of the smallest budget on average."""
    warnings = []
    for model in ("unpruned", "pruned", "run"):
        at_budgets = [row for row in newest(rows, model, suite)[0] if row["budget"] and "answer_tokens" in row]
        if at_budgets and at_budgets[0]["answer_tokens"] > LARGEST_SHARE * at_budgets[0]["budget"]:
            row = at_budgets[0]
            warnings.append(
                f"{model}: answers took {row['answer_tokens']:.1f} tokens on average at the smallest budget "
                f"({row['budget']:,}), {row['answer_tokens'] / row['budget']:.0%} of it; they may reason outside it"
            )
    return warnings


def answer_cell(row: Row) -> str:
    """Mean tokens of an answer at one budget; `-` in rows of older runs."""
    return f"{row['answer_tokens']:.1f}" if "answer_tokens" in row else "-"


def _smallest(budgets: Sequence[int]) -> int:
    return min((budget for budget in budgets if budget), default=0)
