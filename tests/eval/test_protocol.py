"""The protocol hash: whatever a score depends on changes it."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from data_prep.problem import Problem, Suite
from data_prep.suites.load import load_suite
from data_prep.tokens.prompts import ThinkFormat
from eval.protocol import Protocol, make_protocol, protocol_hash
from recipes.errors import UserError
from recipes.suites import JsonlSuite, NanoSuite
from recipes.sweep import SweepSection
from tests.eval import scripted

PROTOCOL = scripted.make_protocol([4, 8])
SUITE = Suite("s", (Problem("a", "q", "1"),), "exact")
VERSIONS = ("engine 1", "grader 1")


def changed(value: Any) -> Any:
    if isinstance(value, tuple):
        return (*value, 99)
    return value + "x" if isinstance(value, str) else value + 0.5 if isinstance(value, float) else value + 1


def hash_of(
    protocol: Protocol = PROTOCOL, suite: Suite = SUITE, samples: int = 1, versions: tuple[str, ...] = VERSIONS
) -> str:
    return protocol_hash(protocol, suite, samples, versions)


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(Protocol) if f.name != "format"])
def test_every_rule_changes_the_hash(field: str) -> None:
    other = dataclasses.replace(PROTOCOL, **{field: changed(getattr(PROTOCOL, field))})
    assert hash_of(other) != hash_of()


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(ThinkFormat) if f.name not in ("name", "date")])
def test_every_string_of_the_format_changes_the_hash(field: str) -> None:
    fmt = dataclasses.replace(PROTOCOL.format, **{field: changed(getattr(PROTOCOL.format, field))})
    assert hash_of(dataclasses.replace(PROTOCOL, format=fmt)) != hash_of()


def test_a_format_counts_by_its_strings_and_not_by_its_name() -> None:
    fmt = dataclasses.replace(PROTOCOL.format, name="qwen3")
    assert hash_of(dataclasses.replace(PROTOCOL, format=fmt)) == hash_of()


@pytest.mark.parametrize(
    "change",
    [
        {"samples": 2},
        {"versions": ("engine 2", "grader 1")},
        {"versions": ("engine 1", "grader 2")},
        {"suite": Suite("s", (Problem("a", "q", "2"),), "exact")},
        {"suite": Suite("s", SUITE.problems, "math")},
    ],
    ids=["samples", "engine", "grader version", "gold answer", "grader"],
)
def test_what_stands_beside_the_rules_changes_the_hash(change: dict[str, Any]) -> None:
    assert hash_of(**change) != hash_of()


@pytest.mark.parametrize("how", [{"method": "generate"}, {"method": "likelihood", "likelihood": "letter"}], ids=str)
def test_another_instruction_is_another_protocol(how: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps({"problem": "2+2?", "answer": "A", "choices": ["4", "5"]}) + "\n", encoding="utf-8")
    sections = [
        JsonlSuite.model_validate({"source": "jsonl", "name": "s", "path": path, "instruction": text, **how})
        for text in ("", "Think.", "Guess.")
    ]
    assert len({hash_of(suite=load_suite(each)) for each in sections}) == 3


def test_the_day_that_a_template_writes_is_not_part_of_the_protocol() -> None:
    rules = scripted.make_protocol([4, 8])
    dated = dataclasses.replace(rules, format=dataclasses.replace(rules.format, date="2026-07-31"))
    assert hash_of(dated) == hash_of(rules)


def test_the_hash_is_that_of_this_version_of_the_protocol() -> None:
    """Scores of one version stay comparable: a changed name of a field must not change the hash."""
    assert hash_of() == "4a1e12faf7ec454a"


def test_the_same_protocol_has_the_same_hash() -> None:
    assert hash_of(scripted.make_protocol([4, 8])) == hash_of()


def test_the_hash_is_sixteen_hex_digits() -> None:
    assert re.fullmatch("[0-9a-f]{16}", hash_of())


def section(**changes: Any) -> SweepSection:
    suite = NanoSuite(source="nano", name="s", family="chain", size=1)
    return SweepSection.model_validate(
        {"budgets": [4, 8], "suites": [suite], "every_steps": 1, "answer_tokens": 3, **changes}
    )


def test_a_protocol_holds_the_recipes_rules() -> None:
    rules = {
        "extend_to": 5,
        "max_extensions": 2,
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 20,
        "min_p": 0.1,
        "seed": 3,
        "stop_loops": True,
    }
    expected = scripted.make_protocol([4, 8], answer_tokens=3, vocabulary_size=77, **rules)
    assert make_protocol(section(**rules), scripted.FORMAT, 77) == expected


def test_an_extension_without_a_wait_text_is_refused() -> None:
    fmt = dataclasses.replace(scripted.FORMAT, wait="", wait_ids=())
    with pytest.raises(UserError, match=r"sweep\.extend_to=5 needs data\.format\.wait"):
        make_protocol(section(extend_to=5, max_extensions=1), fmt, 77)
