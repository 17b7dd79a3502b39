"""The layouts of rows: every example of docs/trace_formats.md, how a layout is found, what rows of each can lack."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, get_args

import pytest

from data_prep.ledger import Ledger
from data_prep.traces.layouts import LAYOUTS
from data_prep.traces.tags import PAIRS
from recipes.filters import FiltersSection
from recipes.paths import ROOT
from recipes.traces import Layout
from tests.data_prep.row_reading import PLAIN, chat, fault, lost, read

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


def test_s1k_1_1_with_the_columns_of_the_qwen_recipe() -> None:
    row = next(row for name, row, _ in EXAMPLES if name == "s1k_1_1")
    columns = {"question": "question", "thinking": "deepseek_thinking_trajectory", "answer": "deepseek_attempt"}
    assert read(row, columns=columns) == read(row)


@pytest.mark.parametrize(
    ("row", "gold"),
    [
        ({**PLAIN, "gold": " 4 "}, "4"),
        ({**PLAIN, "ground_truth": 4.5}, "4.5"),
        ({**PLAIN, "solution": "4"}, "4"),
        ({**PLAIN, "expected_answer": "x", "solution": "y"}, "x"),
        (PLAIN, None),
        ({**PLAIN, "gold": Decimal("7.50")}, "7.5"),
        ({**PLAIN, "gold": Decimal("12.00")}, "12"),
        ({**PLAIN, "gold": Decimal("1E+3")}, "1000"),
        ({**PLAIN, "gold": Decimal("NaN")}, None),
        ({**PLAIN, "gold": [7.0]}, "7"),
        ({**PLAIN, "gold": [1, "x"]}, "1, x"),
        ({**PLAIN, "gold": []}, None),
        ({**PLAIN, "gold": [[1]]}, None),
        ({**PLAIN, "gold": 10**400}, str(10**400)),
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
    ("row", "says"),
    [
        (chat(("user", "q"), ("assistant", ""), content=[{"type": "image"}]), "other parts cannot be trained"),
        (chat(("user", "q"), ("assistant", "a"), thinking="t", reasoning_content="u"), "holds two different thoughts"),
        (chat(("user", "q"), ("assistant", "a"), thinking=3), "the thought of 'messages[1]' must be text"),
        ({"messages": [{"role": "user", "content": None}]}, "'messages[0].content' must be text, got NoneType"),
        ({"messages": "[1"}, "got text that is not a JSON list"),
        ({"messages": []}, "got roles []"),
        ({"question": "q", "thinking_trajectories": [], "attempt": "a"}, "must be a non-empty list of texts"),
        ({"problem": "q", "generations": ["a"], "correctness_math_verify": []}, "has 0 verdicts for 1 generations"),
        ({"text": "hello"}, "'text' must be rendered as"),
        ({"text": "<|im_start|>user\nq\n<|im_start|>assistant\na"}, "'user' turn of 'text' does not end"),
        ({**PLAIN, "question": "\ud800q"}, "the question holds half a character at 0 ('\\ud800')"),
        ({**PLAIN, "question": "\ufeff\u200b\x00"}, "'question' is empty"),
        ({**PLAIN, "id": []}, "'id' must be text or a whole number, got list"),
        ({**PLAIN, "id": 5.5}, "'id' must be text or a whole number, got float"),
        ({**PLAIN, "id": 1e17}, "'id' must be text or a whole number, got float"),
        ({**PLAIN, "id": float("inf")}, "'id' must be text or a whole number, got float"),
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
