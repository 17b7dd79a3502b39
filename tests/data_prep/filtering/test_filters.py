"""The filters: what each finds, what it leaves alone, and that a trace is counted once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from data_prep.filtering.filters import FILTERS, filter_traces
from data_prep.ledger import Ledger
from data_prep.trace import Trace
from recipes.data import DataSection
from recipes.filters import FiltersSection
from recipes.paths import ROOT
from recipes.traces import NanoTraces

SHARED = ROOT / "../shared/data"
SOUND = {"question": "Add 2 and 2.", "thinking": "2 and 2 make 4.", "answer": "4"}
CHINESE = "我们需要把这两个数加起来然后得到结果所以答案是四没有别的可能"


def lost(filters: dict[str, Any], **fields: Any) -> dict[str, int]:
    """What the ledger holds after one trace."""
    section = DataSection(
        traces=NanoTraces(source="nano", size=1), max_length_tokens=8, filters=FiltersSection(**filters)
    )
    ledger = Ledger()
    kept = list(filter_traces([Trace(**{"id": "1", "source": "f", **SOUND, **fields})], section, ledger))
    assert len(kept) + ledger.lost.total() == 1
    return dict(ledger.lost)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"thought": "unclosed", "answer": ""}, "unclosed thinking"),
        ({"thought": "absent", "thinking": ""}, "no thinking"),
        ({"thinking": "Wait. " * 12}, "loop"),
        ({"answer": "so 4 " * 6}, "loop"),
        ({"thinking": CHINESE}, "language drift"),
        ({"answer": " \n"}, "missing final answer"),
        ({"answer": "\u200b\ufeff\u3000"}, "missing final answer"),
    ],
)
def test_what_is_dropped_by_default(fields: dict[str, Any], reason: str) -> None:
    assert lost({}, **fields) == {reason: 1}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"thinking": ""},
        {"thinking": "α + β = γ, so ∑ 𝑥 = ℝ and λμνξοπρστυφχψω"},
        {"answer": CHINESE},
        {"question": CHINESE, "thinking": CHINESE},
        {"question": "", "thinking": CHINESE},
        {"thinking": "We say 你好 in Chinese, and here are many more English letters."},
    ],
)
def test_what_is_kept_by_default(fields: dict[str, Any]) -> None:
    assert lost({}, **fields) == {}


@pytest.mark.parametrize(
    ("filters", "fields", "reason"),
    [
        ({"min_thinking_characters": 1}, {"thinking": " \n "}, "empty thinking"),
        ({"min_thinking_characters": 16}, {}, "empty thinking"),
        ({"answer_contains": "\\boxed{"}, {}, "unmarked final answer"),
        ({"min_answer_characters": 2}, {}, "missing final answer"),
        ({"loop_rounds": 2}, {"thinking": "one two three four five six " * 2}, "loop"),
        ({"max_foreign_letters": 0.05}, {"thinking": "twenty latin letters here 你好"}, "language drift"),
        (
            {"max_foreign_letters": 0.5},
            {"question": "Сколько будет два и два?", "thinking": "two and two make four, yes"},
            "language drift",
        ),
    ],
)
def test_a_threshold_is_followed(filters: dict[str, Any], fields: dict[str, Any], reason: str) -> None:
    assert lost(filters, **fields) == {reason: 1}


@pytest.mark.parametrize(
    ("filters", "fields"),
    [
        ({"min_thinking_characters": 15}, {}),
        ({"answer_contains": "4"}, {}),
        ({"loop_rounds": 4}, {"thinking": "one two three four five six " * 3}),
        ({"max_foreign_letters": 1.0}, {"thinking": CHINESE}),
    ],
)
def test_what_stands_at_the_threshold_is_kept(filters: dict[str, Any], fields: dict[str, Any]) -> None:
    assert lost(filters, **fields) == {}


def test_every_filter_can_be_turned_off() -> None:
    off = {each.key: None for each in FILTERS}
    for fields in ({"thought": "unclosed", "answer": ""}, {"thinking": "Wait. " * 12}, {"thinking": CHINESE}):
        assert lost(off, **fields) == {}


def test_every_key_of_the_section_is_a_filter() -> None:
    assert {each.key for each in FILTERS} == set(FiltersSection.model_fields)


def test_a_lost_trace_is_named_with_the_reason() -> None:
    ledger, section = Ledger(), DataSection(traces=NanoTraces(source="nano", size=1), max_length_tokens=8)
    traces = [Trace("7", "q", "t", "", "f.jsonl"), Trace("f.jsonl:2", "q", "t", "", "f.jsonl")]
    assert list(filter_traces(traces, section, ledger)) == []
    assert ledger.named == {
        "missing final answer": ["f.jsonl 7: an answer of 0 characters", "f.jsonl:2: an answer of 0 characters"]
    }


@pytest.mark.skipif(not SHARED.is_dir(), reason="the recorded solutions are not beside the repository")
def test_no_human_solution_is_dropped_by_default() -> None:
    rows = [
        json.loads(line)
        for name in ("gsm8k_train_part", "math500")
        for line in (SHARED / f"{name}.jsonl").read_bytes().splitlines()
    ]
    traces = [
        Trace(str(number), row["problem"], row.get("solution") or "", row["answer"], "f")
        for number, row in enumerate(rows)
    ]
    section, ledger = DataSection(traces=NanoTraces(source="nano", size=1), max_length_tokens=8), Ledger()
    assert len(traces) > 3000
    assert (len(list(filter_traces(traces, section, ledger))), ledger.lost) == (len(traces), {})
