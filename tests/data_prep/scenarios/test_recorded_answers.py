"""Agreement with recorded grades of real answers, where the data lies beside the repository (it is not shipped).

Only ids and reasons stand here, never the texts.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import pytest

from data_prep.grading.grade import grade_all
from data_prep.grading.mathematics import by_algebra, by_rule, read_answer, stated, verify_math
from recipes.paths import ROOT

DATA = ROOT / "../shared/data"
GSM8K = ("gsm8k_openai/6b_finetuning", "gsm8k_openai/6b_verification")
MATH500 = "skythought/Qwen__Qwen2.5-14B-Instruct__math500_eval__math500"
COMPETITIONS = (
    "skythought/Qwen__Qwen2.5-14B-Instruct__aime24_eval__aime24",
    "skythought/Qwen__Qwen2.5-14B-Instruct__amc23_eval__amc23",
)

WRONG_IN_THE_RECORD = {  # against the benchmark's own gold answer
    184: "recorded right: the answer's interval is closed at its end, the gold one is open",
    198: "recorded wrong: the same integer; the record's copy of the gold answer lost a zero at a LaTeX thin space",
    217: "recorded wrong: the same integer; the record's copy of the gold answer was sorted as a list of thousands",
    284: "recorded wrong: both values of the gold plus-minus are given; the record's copy lost the sign",
}
WRONG_BY_THE_RECORDED_GOLD = {  # against the gold answer as the record holds it
    97: "the recorded gold answer is empty (a word was stripped)",
    102: "the recorded gold answer lost a letter of its product",
    184: "the answer's interval is closed at its end, the gold one is open",
    205: "the recorded gold answer is a vector whose entries ran together",
    298: "the recorded gold answer is a vector whose entries ran together",
    419: "the recorded gold answer is a vector whose entries ran together",
}


@pytest.fixture(scope="module")
def recorded() -> dict[str, list[dict[str, Any]]]:
    if not (DATA / "recorded_grades.jsonl").is_file():
        pytest.skip(f"no recorded grades at {DATA}: they are not shipped with the repository")
    by_source = defaultdict(list)
    with (DATA / "recorded_grades.jsonl").open(encoding="utf-8") as file:
        for row in map(json.loads, file):
            by_source[row["src"]].append(row)
    return by_source


def golds_of_math500() -> list[str]:
    if not (DATA / "math500.jsonl").is_file():
        pytest.skip(f"no problems of MATH-500 at {DATA}: they are not shipped with the repository")
    with (DATA / "math500.jsonl").open(encoding="utf-8") as file:
        return [json.loads(line)["answer"] for line in file]


def disagreements(rows: list[dict[str, Any]], golds: list[str], grader: str) -> set[int]:
    grades = grade_all([row["text_tail"] for row in rows], golds, grader)
    assert not [grade for grade in grades if grade.reason.startswith("grader ")]
    return {row["id"] for row, grade in zip(rows, grades, strict=True) if grade.correct != bool(row["grade"])}


@pytest.mark.slow
@pytest.mark.parametrize("source", GSM8K)
@pytest.mark.parametrize("grader", ["integer", "math"])
def test_grade_school_problems(recorded: dict[str, list[dict[str, Any]]], source: str, grader: str) -> None:
    rows = recorded[source]
    assert len(rows) == 1319
    assert len(disagreements(rows, [row["gold"] for row in rows], grader)) == 0


@pytest.mark.slow
@pytest.mark.parametrize("source", COMPETITIONS)
@pytest.mark.parametrize("grader", ["integer", "math"])
def test_competitions(recorded: dict[str, list[dict[str, Any]]], source: str, grader: str) -> None:
    rows = recorded[source]
    assert not disagreements(rows, [row["gold"] for row in rows], grader)


@pytest.mark.slow
def test_math500_disagrees_only_where_the_record_is_wrong(recorded: dict[str, list[dict[str, Any]]]) -> None:
    rows, golds = recorded[MATH500], golds_of_math500()
    assert disagreements(rows, [golds[row["id"]] for row in rows], "math") == set(WRONG_IN_THE_RECORD)


@pytest.mark.slow
def test_math500_by_the_recorded_gold_answers(recorded: dict[str, list[dict[str, Any]]]) -> None:
    rows = recorded[MATH500]
    assert disagreements(rows, [row["gold"] for row in rows], "math") == set(WRONG_BY_THE_RECORDED_GOLD)


@pytest.mark.slow
def test_rules_contradict_no_algebra(recorded: dict[str, list[dict[str, Any]]]) -> None:
    golds = golds_of_math500()
    ruled_on = 0
    for row in recorded[MATH500]:
        gold = golds[row["id"]]
        wanted, given = read_answer(gold), read_answer(stated(row["text_tail"], gold) or "")
        ruled = by_rule(wanted, given)
        equal, reason = by_algebra(wanted, given)
        if ruled is not None and reason in ("equal", "differs"):
            ruled_on += 1
            assert ruled is equal, row["id"]
    assert ruled_on > 300


@pytest.mark.slow
def test_another_digit_sign_or_bracket_is_another_answer() -> None:
    """Each gold answer of MATH-500 with one digit, sign or bracket changed; at infinity both brackets mean the same."""
    changes = {
        **{str(i): str((i + 1) % 10) for i in range(10)},
        "+": "-",
        "-": "+",
        "(": "[",
        "[": "(",
        ")": "]",
        "]": ")",
    }
    pairs = [
        (gold, gold[:i] + changes[sign] + gold[i + 1 :])
        for gold in golds_of_math500()
        for i, sign in enumerate(gold)
        if sign in changes
    ]
    pairs = [
        (gold, other)
        for gold, other in pairs
        if "\\infty]" not in other and "[-\\infty" not in other and "^3" not in other
    ]
    grades = grade_all([f"\\boxed{{{other}}}" for _, other in pairs], [gold for gold, _ in pairs], "math")
    assert len(pairs) > 1000
    assert [pair for pair, grade in zip(pairs, grades, strict=True) if grade.correct] == []


@pytest.mark.slow
def test_every_gold_answer_equals_itself_and_no_other(recorded: dict[str, list[dict[str, Any]]]) -> None:
    golds = golds_of_math500()
    assert all(verify_math(f"\\boxed{{{gold}}}", gold)[0] for gold in golds)
    for one, other in zip(golds, golds[7:], strict=False):
        same = one.replace(" ", "") == other.replace(" ", "")
        assert verify_math(f"\\boxed{{{one}}}", other)[0] is same, (one, other)
