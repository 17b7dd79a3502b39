"""Duplicates: the first of equal or like traces is kept, the others are counted with the one they are like."""

from __future__ import annotations

import random

import pytest

from data_prep.filtering.duplicates import bands_for, compared, drop_duplicates
from data_prep.ledger import Ledger
from data_prep.trace import Trace
from recipes.quality import DuplicatesSection

EXACT = DuplicatesSection(exact="trace")
WORDS = [f"w{i}" for i in range(3000)]


def trace(name: str, question: str = "q", thinking: str = "t", answer: str = "a") -> Trace:
    return Trace(name, question, thinking, answer, "here")


def kept(traces: list[Trace], section: DuplicatesSection, ledger: Ledger | None = None) -> list[str]:
    return [each.id for each in drop_duplicates(traces, section, ledger or Ledger())]


def test_by_default_nothing_is_dropped() -> None:
    assert kept([trace("a"), trace("b")], DuplicatesSection()) == ["a", "b"]


def test_the_first_of_equal_traces_is_kept_case_and_spaces_apart() -> None:
    ledger = Ledger()
    assert kept([trace("a", "One two"), trace("b", "one  TWO\n"), trace("c", "three")], EXACT, ledger) == ["a", "c"]
    assert ledger.lost == {"duplicate": 1}
    assert ledger.named["duplicate"] == ["here b: its trace came before"]


@pytest.mark.parametrize(
    "question", ["L'e\u0301le\u0300ve", "\ufeffL'élève", "L’élève", "Ｌ＇ÉLÈVE", "L'é\u00adlève\u2060"]
)
def test_a_trace_in_another_spelling_is_a_duplicate(question: str) -> None:
    assert kept([trace("a", "L'élève"), trace("b", question)], EXACT) == ["a"]


def test_a_power_is_no_duplicate_of_the_digits() -> None:
    assert kept([trace("a", "3²"), trace("b", "32")], EXACT) == ["a", "b"]


def test_near_duplicates_are_found_in_scripts_without_spaces() -> None:
    question = "小明有若干个苹果,他先给了小红三分之一,再给小刚四分之一,最后剩下十五个苹果,请问小明原来一共有多少个苹果"
    other = "小红买了五本书,她送给小明两本,又送给小刚一本,请问小红现在还剩下几本书,这些书一共值多少钱呢"
    near = DuplicatesSection(near="question")
    assert kept([trace("a", question), trace("b", "请解答:" + question), trace("c", other)], near) == ["a", "c"]


def test_text_that_moves_from_one_part_to_another_is_no_duplicate() -> None:
    assert kept([trace("a", "x", "y z", "u"), trace("b", "x y", "z", "u")], EXACT) == ["a", "b"]


def test_equal_questions_with_other_thoughts_are_duplicates_by_question_only() -> None:
    traces = [trace("a", thinking="one"), trace("b", thinking="two")]
    assert kept(traces, EXACT) == ["a", "b"]
    assert kept(traces, DuplicatesSection(exact="question")) == ["a"]


def test_runs_are_all_windows_and_a_short_text_is_one() -> None:
    assert compared(["a", "b", "c"], 2) == ["a b", "b c"]
    assert compared(["a"], 2) == ["a"]


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8, 0.95, 1.0])
def test_texts_at_the_threshold_are_compared_in_99_of_100_cases(threshold: float) -> None:
    bands = bands_for(threshold)
    assert 1 - (1 - threshold ** (128 // bands)) ** bands >= 0.99


def edited(words: list[str], changes: int, rng: random.Random) -> list[str]:
    """`words` with so many of them, far enough apart, replaced by words of no other text."""
    copy = list(words)
    for i in range(changes):
        copy[i * len(copy) // changes] = f"new{rng.random()}"
    return copy


def jaccard(a: list[str], b: list[str]) -> float:
    left, right = set(compared(a, 5)), set(compared(b, 5))
    return len(left & right) / len(left | right)


def test_likeness_well_over_the_threshold_is_found_and_well_under_it_is_not() -> None:
    rng = random.Random(3)
    texts = [rng.choices(WORDS, k=400) for _ in range(60)]
    like, unlike = ([edited(text, changes, rng) for text in texts] for changes in (4, 28))
    assert all(jaccard(a, b) > 0.89 for a, b in zip(texts, like, strict=True))
    assert all(jaccard(a, b) < 0.62 for a, b in zip(texts, unlike, strict=True))
    section, ledger = DuplicatesSection(near="trace", threshold=0.8), Ledger()
    groups = {"a": texts, "b": like, "c": unlike}
    traces = [trace(f"{kind}{i}", thinking=" ".join(words)) for kind in groups for i, words in enumerate(groups[kind])]
    names = kept(traces, section, ledger)
    assert [name for name in names if name[0] == "a"] == [f"a{i}" for i in range(60)]
    assert [name for name in names if name[0] == "b"] == []
    assert [name for name in names if name[0] == "c"] == [f"c{i}" for i in range(60)]
    assert ledger.named["near duplicate"][0] == "here b0: like here a0"


def test_of_several_that_are_alike_the_first_is_named() -> None:
    def words(start: int) -> str:
        return " ".join(WORDS[start : start + 100])

    ledger, section = Ledger(), DuplicatesSection(near="question", threshold=0.4, run_words=1)
    traces = [trace("a", words(0)), trace("b", words(60)), trace("c", words(30))]  # a b: 40/160, the others: 70/130
    assert kept(traces, section, ledger) == ["a", "b"]
    assert ledger.named["near duplicate"] == ["here c: like here a"]


def test_the_same_traces_give_the_same_choice() -> None:
    rng = random.Random(4)
    traces = [trace(str(i), thinking=" ".join(rng.choices(WORDS[:60], k=30))) for i in range(300)]
    section = DuplicatesSection(near="trace", threshold=0.35, run_words=1)
    first = kept(traces, section)
    assert first == kept(traces, section)
    assert 1 < len(first) < 300


def test_traces_of_the_same_name_are_told_apart() -> None:
    assert kept([trace("a", "one two three"), trace("a", "four five six")], DuplicatesSection(near="question")) == [
        "a",
        "a",
    ]
