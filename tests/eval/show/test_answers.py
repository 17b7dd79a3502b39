"""What is said of answers that are long beside the budget, before a sweep and after one."""

from __future__ import annotations

import pytest

from eval.show.answers import answer_cell, long_answers, room_to_reason
from tests.eval.show.made_rows import made_rows


@pytest.mark.parametrize(
    ("budgets", "answer_tokens", "says"),
    [
        ([512, 1024], 51, ""),
        ([512, 1024], 64, "answers may take up to 64 tokens, 12% of the smallest budget (512): room to reason outside"),
        ([0, 1024, 2048], 512, "answers may take up to 512 tokens, 50% of the smallest budget (1,024): room to reason"),
        ([0], 512, ""),
    ],
)
def test_a_cap_over_a_tenth_of_the_smallest_budget_is_named(budgets: list[int], answer_tokens: int, says: str) -> None:
    said = room_to_reason(budgets, answer_tokens)
    assert said.startswith(says) and bool(said) == bool(says)


def test_answers_that_took_more_than_a_tenth_are_named_by_model() -> None:
    rows = made_rows()
    assert long_answers(rows, "chain") == []
    for row in rows:
        if row["model"] == "pruned" and row["budget"] == 8:
            row["answer_tokens"] = 2.0
    assert long_answers(rows, "chain") == [
        "pruned: answers took 2.0 tokens on average at the smallest budget (8), 25% of it; they may reason outside it"
    ]


def test_rows_of_older_runs_name_no_tokens_of_answers() -> None:
    rows = [{key: value for key, value in row.items() if key != "answer_tokens"} for row in made_rows()]
    assert (answer_cell(rows[0]), long_answers(rows, "chain")) == ("-", [])
