"""Overlap of questions with problems: counted by hand, and on a public audit and unrelated problems where they are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from data_prep.filtering.decontaminate import SuiteIndex, decontaminate
from data_prep.ledger import Ledger
from data_prep.problem import Problem, Suite
from data_prep.trace import Trace
from recipes.paths import ROOT
from recipes.quality import DecontaminateSection

WORDS = DecontaminateSection(unit="words", n=3, shared=1)
SHARED_DATA = ROOT / "../shared/data"


def suite(*questions: str, **fields: Any) -> Suite:
    return Suite("s", tuple(Problem(f"p{i}", q, "1") for i, q in enumerate(questions)), "math", **fields)


def traces(*questions: str) -> list[Trace]:
    return [Trace(f"t{i}", q, "", "1", "here") for i, q in enumerate(questions)]


def recorded(name: str) -> list[dict[str, Any]]:
    path = SHARED_DATA / name
    if not path.is_file():
        pytest.skip(f"{name} is not beside the repository")
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def test_runs_in_common_are_counted_exactly() -> None:
    # the problem has the runs abc bcd cde; the question holds abc and bcd, whatever its case and spaces
    (found,) = SuiteIndex([suite("a b c d e")], WORDS).overlaps("x A  b\nc d y")
    assert (found.suite, found.problem, found.shared, found.runs, found.example) == ("s", "p0", 2, 3, "a b c")
    assert found.coverage == pytest.approx(2 / 3)


def test_a_run_that_comes_twice_counts_once() -> None:
    (found,) = SuiteIndex([suite("a b c a b c")], WORDS).overlaps("a b c a b c a b c")
    assert (found.shared, found.runs) == (3, 3)


def test_the_largest_overlap_comes_first() -> None:
    found = SuiteIndex([suite("a b c x", "a b c d")], WORDS).overlaps("a b c d")
    assert [(each.problem, each.shared) for each in found] == [("p1", 2), ("p0", 1)]


@pytest.mark.parametrize(
    ("fields", "found"),
    [({"shared": 2}, True), ({"shared": 3}, False), ({"coverage": 0.66}, True), ({"coverage": 0.67}, False)],
)
def test_thresholds_are_inclusive(fields: dict[str, Any], found: bool) -> None:
    index = SuiteIndex([suite("a b c d e")], WORDS.model_copy(update=fields))
    assert bool(index.overlaps("a b c d z z")) is found


def test_a_problem_of_one_run_needs_no_second_one() -> None:
    assert SuiteIndex([suite("a b c")], WORDS.model_copy(update={"shared": 2})).overlaps("so a b c it is")


@pytest.mark.parametrize(("question", "found"), [("A b", True), ("a b c", False), ("z a b", False)])
def test_a_problem_shorter_than_a_run_must_be_the_whole_question(question: str, found: bool) -> None:
    assert bool(SuiteIndex([suite("a b")], WORDS).overlaps(question)) is found


def test_symbols_see_through_formulas_and_words_do_not() -> None:
    index = {
        unit: SuiteIndex([suite(r"Compute $\frac{1}{2}+x$.")], DecontaminateSection(unit=unit, n=8))
        for unit in ("symbols", "words")
    }
    assert index["symbols"].overlaps(r"What is $\frac{1}{2}+x$ then")
    assert not index["words"].overlaps(r"What is $\frac{1}{2}+x$ then")


def test_the_instruction_of_a_suite_does_not_count() -> None:
    asked = suite("What is two and two?\n\nPut it in a box please.", instruction="Put it in a box please.")
    index = SuiteIndex([asked], WORDS)
    assert not index.overlaps("How old is Ann?\n\nPut it in a box please.")
    assert index.overlaps("What is two and two?")


def test_a_short_problem_is_found_under_the_instruction_too() -> None:
    asked = suite("1 + 1?\n\nbox it", instruction="box it")
    assert SuiteIndex([asked], DecontaminateSection()).overlaps("1+1?\n\nbox it")


def test_an_instruction_in_another_spelling_does_not_count_either() -> None:
    asked = suite("1 + 1?\n\nbox it", instruction="box it")
    assert SuiteIndex([asked], DecontaminateSection()).overlaps("１＋１？\n\nＢｏｘ  it")


@pytest.mark.parametrize("unit", ["symbols", "words"])
@pytest.mark.parametrize(
    ("problem", "question", "found"),
    [
        (
            "小明有若干个苹果,先给了小红三分之一,最后剩下十个",
            "请解答:小明有若干个苹果，先给了小红三分之一，最后剩下十个。",
            True,
        ),
        ("小明有若干个苹果,先给了小红三分之一,最后剩下十个", "小红有五本书,她送给小明两本,还剩几本?", False),
        (
            "A baker fills two trays with rolls and sells half of each",
            "Ａ ba\u00adker fills\u00a0two tr\u200bays with rolls",
            False,
        ),
        (
            "A baker fills two trays with rolls and sells half of each",
            "Ａ ba\u00adker fills\u00a0two tr\u200bays with ｒｏｌｌｓ and sells HALF of each",
            True,
        ),
    ],
)
def test_another_spelling_and_a_script_without_spaces_are_seen(
    unit: str, problem: str, question: str, found: bool
) -> None:
    section = DecontaminateSection.model_validate({"unit": unit})
    assert bool(SuiteIndex([suite(problem)], section).overlaps(question)) is found


def test_what_is_dropped_is_counted_with_its_numbers_and_the_rest_keeps_its_order() -> None:
    ledger = Ledger()
    kept = list(decontaminate(traces("w x y", "a b c d", "u v w"), WORDS, [suite("a b c d")], ledger))
    assert [trace.id for trace in kept] == ["t0", "t2"]
    assert ledger.lost == {"in suite s": 1} and ledger.notes == ["decontaminated against s"]
    assert ledger.named["in suite s"] == ["here t1: shares 2 of the 2 runs of 3 words of problem p0, such as 'a b c'"]


@pytest.mark.parametrize(
    ("section", "fields"), [(WORDS, {"wording": "template"}), (DecontaminateSection(enabled=False), {})]
)
def test_a_suite_that_is_not_looked_at_is_named(section: DecontaminateSection, fields: dict[str, Any]) -> None:
    ledger = Ledger()
    assert len(list(decontaminate(traces("a b c d"), section, [suite("a b c d", **fields)], ledger))) == 1
    assert len(ledger.notes) == 1 and ledger.notes[0].startswith("not decontaminated against s (")


def test_the_pairs_of_a_public_audit_are_found() -> None:
    rows = recorded("contamination_s1k_math500.jsonl")
    found = [
        bool(SuiteIndex([suite(row["math500_problem"])], DecontaminateSection()).overlaps(row["train_problem"]))
        for row in rows
    ]
    assert len(rows) == 36 and sum(found) >= 35


def test_unrelated_problems_do_not_overlap() -> None:
    index = SuiteIndex([suite(*(row["problem"] for row in recorded("math500.jsonl")))], DecontaminateSection())
    unrelated = [row["problem"] for row in recorded("gsm8k_train_part.jsonl")[:1000]]
    assert len(unrelated) == 1000
    assert [question for question in unrelated if index.overlaps(question)] == []
