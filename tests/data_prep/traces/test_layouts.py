"""The layouts of rows: every example of docs/trace_formats.md, how a layout is found, what rows of each can lack."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from data_prep.ledger import Ledger
from data_prep.trace import Trace
from data_prep.traces.conversations import Lost
from data_prep.traces.layouts import LAYOUTS
from data_prep.traces.row_reader import RowReader
from data_prep.traces.tags import PAIRS
from recipes.errors import UserError
from recipes.filters import FiltersSection
from recipes.paths import ROOT
from recipes.traces import FileTraces, Layout

PAGE = (ROOT / "docs" / "trace_formats.md").read_text()
BLOCKS = [
    (part.split("\n", 1)[0], block)
    for part in PAGE.split("\n### ")[1:]
    for block in re.findall(r"```json\n(.*?)\n```", part, re.DOTALL)
]
EXAMPLES = [
    (name, json.loads(row), json.loads(trace))
    for (name, row), (_, trace) in zip(BLOCKS[::2], BLOCKS[1::2], strict=True)
]
PLAIN = {"question": "q", "thinking": "t", "answer": "a"}


def read(row: Any, ledger: Ledger | None = None, **section: Any) -> Trace:
    reader = RowReader(FileTraces(source="file", path=Path("f"), **section), ledger or Ledger(), "data.traces")
    return reader.trace("f:1", row)


def fault(row: Any, **section: Any) -> str:
    with pytest.raises(ValueError) as caught:
        read(row, **section)
    return str(caught.value)


def lost(row: Any, **section: Any) -> tuple[str, str]:
    with pytest.raises(Lost) as caught:
        read(row, **section)
    return caught.value.reason, str(caught.value)


def chat(*turns: tuple[str, str], **assistant: Any) -> dict[str, Any]:
    messages = [{"role": role, "content": content} for role, content in turns]
    messages[-1].update(assistant)
    return {"messages": messages}


@pytest.mark.parametrize(("name", "row", "trace"), EXAMPLES)
def test_an_example_of_the_page_gives_the_trace_below_it(name: str, row: Any, trace: dict[str, str]) -> None:
    for layout in ("auto", name):
        found = read(row, format=layout)
        seen = {"question": found.question, "thinking": found.thinking, "answer": found.answer}
        assert seen | ({"gold": found.gold} if found.gold else {}) == {k: v for k, v in trace.items() if k != "thought"}
        assert found.thought == trace.get("thought", "whole")


def test_the_page_knows_every_layout_tag_and_filter() -> None:
    assert {name for name, _, _ in EXAMPLES} == {layout.name for layout in LAYOUTS}
    assert {"auto", *(layout.name for layout in LAYOUTS)} == set(get_args(Layout))
    assert re.findall(r"^\| (\w+) \| (.*?) ?[;|]", PAGE.split("## Thoughts")[0], re.MULTILINE) == [
        (layout.name, ", ".join(layout.needs)) for layout in LAYOUTS
    ]
    assert all(f"{pair.open}…{pair.close}" in PAGE for pair in PAIRS)
    for name, field in FiltersSection.model_fields.items():
        assert f"| `{name}` | {'null' if field.default is None else field.default} |" in PAGE


@pytest.mark.parametrize(
    ("text", "thinking", "answer", "state"),
    re.findall(r"^\| `(.*?)` \| (?:`(.*?)`)? ?\| (?:`(.*?)`)? ?\| (whole|unclosed|absent|broken)", PAGE, re.MULTILINE),
)
def test_the_table_of_tags_is_true(text: str, thinking: str, answer: str, state: str) -> None:
    row = chat(("user", "q"), ("assistant", text))
    if state == "broken":
        assert "tag" in fault(row) or "text before" in fault(row)
    else:
        trace = read(row)
        assert (trace.thinking, trace.answer, trace.thought) == (thinking, answer, state)


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
        "data.traces: rows that fit the layouts s1k, plain are read as s1k, the most particular "
        "whose columns are filled; data.traces.format names another"
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


def test_s1k_1_1_with_the_columns_of_the_qwen_recipe() -> None:
    row = next(row for name, row, _ in EXAMPLES if name == "s1k_1_1")
    columns = {"question": "question", "thinking": "deepseek_thinking_trajectory", "answer": "deepseek_attempt"}
    assert read(row, columns=columns) == read(row)


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
    ("row", "gold"),
    [
        ({**PLAIN, "gold": " 4 "}, "4"),
        ({**PLAIN, "ground_truth": 4.5}, "4.5"),
        ({**PLAIN, "solution": "4"}, "4"),
        ({**PLAIN, "expected_answer": "x", "solution": "y"}, "x"),
        (PLAIN, None),
        ({**PLAIN, "gold": None}, None),
        ({**PLAIN, "gold": True}, None),
        ({**PLAIN, "gold": {"a": 1}}, None),
        ({**PLAIN, "gold": float("nan")}, None),
        ({**PLAIN, "solution": "First we add.\nThen 4."}, None),
        ({**PLAIN, "solution": "x" * 101}, None),
        ({**PLAIN, "solution": "First we add.\nThen \\boxed{4}."}, "First we add.\nThen \\boxed{4}."),
        ({**chat(("user", "q"), ("assistant", "</think>a")), "answer": "4"}, "4"),
    ],
)
def test_the_gold_answer(row: Any, gold: str | None) -> None:
    assert read(row).gold == gold


@pytest.mark.parametrize(
    ("row", "identity"),
    [
        ({**PLAIN, "id": 7}, "7"),
        ({**PLAIN, "id": "x", "uuid": "y"}, "x"),
        ({**PLAIN, "uuid": "y"}, "y"),
        ({**PLAIN, "id": None}, "f:1"),
        ({**PLAIN, "id": ""}, "f:1"),
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


@pytest.mark.parametrize(
    "row",
    [
        chat(("user", "q"), ("assistant", "a"), ("user", "r"), ("assistant", "b")),
        chat(("assistant", "hello"), ("user", "q"), ("assistant", "a")),
        chat(("user", "q"), ("tool", "x"), ("assistant", "a")),
        {"instruction": "i", "output": "o", "history": [["a", "b"]]},
        {"text": "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\na<|im_end|>\n<|im_start|>user\nr<|im_end|>\n"},
    ],
)
def test_a_conversation_of_several_turns_is_lost_whole(row: Any) -> None:
    assert lost(row)[0] == "several turns"


def test_content_in_parts_is_joined() -> None:
    row = chat(("user", "q"), ("assistant", ""), content=[{"type": "text", "text": "t</think>"}, {"text": "a"}])
    assert (read(row).thinking, read(row).answer) == ("t", "a")


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (chat(("user", "q"), ("assistant", ""), content=[{"type": "image"}]), "other parts cannot be trained"),
        (chat(("user", "q"), ("assistant", "a"), thinking="t", reasoning_content="u"), "holds two different thoughts"),
        (chat(("user", "q"), ("assistant", "a"), thinking=3), "the thought of 'messages[1]' must be text"),
        ({"messages": [{"role": "user", "content": None}]}, "'messages[0].content' must be text, got NoneType"),
        ({"messages": "[1"}, "got text that is no JSON list"),
        ({"messages": []}, "got roles []"),
        ({"question": "q", "thinking_trajectories": [], "attempt": "a"}, "must be a list of texts that is not empty"),
        ({"problem": "q", "generations": ["a"], "correctness_math_verify": []}, "has 0 verdicts for 1 generations"),
        ({"text": "hello"}, "'text' must be rendered as"),
        ({"text": "<|im_start|>user\nq\n<|im_start|>assistant\na"}, "'user' turn of 'text' does not end"),
        ({**PLAIN, "question": "\ud800q"}, "the question holds half a character at 0 ('\\ud800')"),
        ({**PLAIN, "question": "\ufeff\u200b\x00"}, "'question' is empty"),
        ({**PLAIN, "id": []}, "'id' must be text or a whole number, got list"),
        ({**PLAIN, "system": 3}, "'system' must be text, got int"),
    ],
)
def test_what_is_wrong_with_a_row(row: Any, says: str) -> None:
    assert says in fault(row)


def test_openr1_takes_the_language_models_verdict_where_math_verify_found_none() -> None:
    row = {
        "problem": "q",
        "generations": ["t</think>a", "u</think>b"],
        "correctness_math_verify": [False, False],
        "correctness_llama": [False, True],
    }
    assert read(row).answer == "b"


@pytest.mark.parametrize("verdicts", [[False], None, [None], ["False"]])
def test_openr1_without_a_right_generation_is_lost(verdicts: Any) -> None:
    row = {"problem": "q", "generations": ["t</think>a"], "correctness_math_verify": verdicts}
    assert lost(row) == ("no right generation", "none of 1 was found right")


def test_what_is_left_out_of_a_row_is_counted() -> None:
    ledger = Ledger()
    read({"question": "q", "thinking_trajectories": ["t", "u"], "attempt": "a"}, ledger)
    assert ledger.changed == {"trajectories after the first left out": 1}


def test_lists_may_be_json_text_as_in_a_csv_cell() -> None:
    assert read({"messages": json.dumps(chat(("user", "q"), ("assistant", "t</think>a"))["messages"])}).thinking == "t"
