"""How the layout of a row is found, and what a reader makes of columns, ids and system messages."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from data_prep.ledger import Ledger
from data_prep.trace import Trace
from recipes.errors import UserError
from tests.data_prep.row_reading import PLAIN, chat, fault, lost, read


def test_columns_that_fit_no_layout_are_named_with_the_nearest_layouts() -> None:
    assert fault({"question": "q", "solution": "s", "answer": "a"}).startswith(
        "no layout has these columns: 'question', 'solution', 'answer'; nearest: plain lacks 'thinking'; "
    )


def test_where_no_column_fits_the_simplest_layouts_are_the_nearest() -> None:
    assert "nearest: messages lacks 'messages'; sharegpt lacks 'conversations'; s1_text" in fault({"q": "q"})


def test_a_named_layout_tells_what_its_row_lacks() -> None:
    assert "s1k lacks 'thinking_trajectories', 'attempt'" in fault(PLAIN, format="s1k")


def test_of_two_layouts_the_particular_one_is_taken_and_told() -> None:
    ledger = Ledger()
    row = {**PLAIN, "thinking_trajectories": ["u"], "attempt": "b"}
    assert read(row, ledger).thinking == "u"
    assert ledger.notes == [
        "data.traces: rows that fit the layouts s1k, plain are read as s1k, the most specific one "
        "whose columns are filled; set data.traces.format to use another"
    ]
    assert read(row, format="plain").thinking == "t"


def test_a_layout_whose_columns_are_null_gives_way_to_one_that_is_filled() -> None:
    assert read({**PLAIN, "messages": None}).answer == "a"


def test_where_no_layout_is_filled_the_fault_is_that_of_the_particular_one() -> None:
    assert fault(dict.fromkeys([*PLAIN, "messages"])) == "'messages' must be a list, got NoneType"


def test_columns_are_renamed_and_lead_to_the_layout() -> None:
    row = {"problem": "q", "trajectory": "t", "reply": "a", "text": "x", "right": 5}
    columns = {"question": "problem", "thinking": "trajectory", "answer": "reply", "gold": "right"}
    assert read(row, columns=columns) == Trace("f:1", "q", "t", "a", "f", gold="5")


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({"columns": {"messages": "m", "question": "q"}}, "no layout uses 'messages', 'question' together"),
        ({"columns": {"thinking": "t"}, "format": "s1k"}, "the layout s1k does not use 'thinking'"),
    ],
)
def test_columns_that_no_layout_would_use_are_refused(section: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        read(PLAIN, **section)


def test_a_named_gold_column_must_be_there() -> None:
    assert fault(PLAIN, columns={"gold": "right"}) == "there is no column 'right' (data.traces.columns.gold)"


@pytest.mark.parametrize(
    ("row", "identity"),
    [
        ({**PLAIN, "id": 7}, "7"),
        ({**PLAIN, "id": "x", "uuid": "y"}, "x"),
        ({**PLAIN, "uuid": "y"}, "y"),
        ({**PLAIN, "id": None}, "f:1"),
        ({**PLAIN, "id": ""}, "f:1"),
        ({**PLAIN, "id": 5.0}, "5"),
        ({**PLAIN, "id": Decimal("5.00")}, "5"),
        ({**PLAIN, "id": float("nan"), "uuid": "y"}, "y"),
    ],
)
def test_the_id(row: Any, identity: str) -> None:
    assert read(row).id == identity


@pytest.mark.parametrize(
    ("system", "question", "change"),
    [("join", "s\n\nq", "system message joined to the question"), ("drop", "q", "system message left out")],
)
@pytest.mark.parametrize(
    "row",
    [
        chat(("system", "s"), ("user", "q"), ("assistant", "</think>a")),
        {**chat(("user", "q"), ("assistant", "</think>a")), "system": "s"},
        {**PLAIN, "system": " s\n"},
    ],
    ids=["turn", "column", "plain"],
)
def test_a_system_message_is_joined_or_left_out_and_counted(row: Any, system: str, question: str, change: str) -> None:
    ledger = Ledger()
    assert read(row, ledger, system=system).question == question
    assert ledger.changed == {change: 1}


def test_a_system_message_may_be_refused() -> None:
    assert lost({**PLAIN, "system": "s"}, system="refuse") == ("system message", "s")
