"""Multiple choice: how choices are read from a row, ordered, rendered and scored."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from data_prep.suites.choices import LETTERS, read_choices, render_choices, shuffled
from recipes.errors import UserError
from tests.data_prep.suite_files import ROW, jsonl, write


@pytest.mark.parametrize(
    ("row", "letter"),
    [
        ({"choices": ["a", "b", "c"], "answer": "B"}, "B"),
        ({"choices": ["a", "b", "c"], "answer": "b"}, "B"),
        ({"choices": ["a", "b", "c"], "answer": 0}, "A"),
        ({"choices": [1, 2.5, "c"], "answer": 2}, "C"),
        ({"choices": {"text": ["a", "b"], "label": ["1", "2"]}, "answer": "2"}, "B"),
        ({"choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answer": "A"}, "A"),
    ],
)
def test_choices_are_rendered_and_the_answer_is_a_letter(tmp_path: Path, row: dict[str, Any], letter: str) -> None:
    suite = jsonl(write(tmp_path / "s.jsonl", [{"problem": "Which?\n", **row}]))
    (problem,) = suite.problems
    assert suite.grader == "choice" and problem.answer == letter and problem.choices[0] in ("a", "1")
    assert problem.question == "Which?\n\n" + "\n".join(
        f"{a}. {c}" for a, c in zip(LETTERS, problem.choices, strict=False)
    )


def test_without_choices_auto_is_math(tmp_path: Path) -> None:
    suite = jsonl(write(tmp_path / "s.jsonl", [{"problem": "p", "answer": "4"}]))
    assert suite.grader == "math" and suite.problems[0].choices == ()


def test_own_column_names_and_instruction(tmp_path: Path) -> None:
    path = write(tmp_path / "s.jsonl", [{"q": "p", "gold": 1, "options": ["a", "b"]}])
    (problem,) = jsonl(path, problem="q", answer="gold", choices="options", instruction="Box it.").problems
    assert (problem.question, problem.answer) == ("p\n\nA. a\nB. b\n\nBox it.", "B")


@pytest.mark.parametrize(
    ("row", "grader", "says"),
    [
        (
            {"choices": ["a", "b"], "answer": "A"},
            "math",
            r"names one of its choices; grader=math cannot compare it",
        ),
        ({"answer": "Paris"}, "choice", r"the answer of problem 0 is 'Paris', which is not a letter A to J"),
    ],
)
def test_choices_and_grader_must_fit(tmp_path: Path, row: dict[str, Any], grader: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        jsonl(write(tmp_path / "s.jsonl", [{"problem": "p", **row}]), grader=grader)


def test_shuffling_is_stable_by_problem_and_seed(tmp_path: Path) -> None:
    rows = [{"id": i, "problem": "p", "choices": ["right", "x", "y", "z"], "answer": 0} for i in range(60)]
    path = write(tmp_path / "s.jsonl", rows)
    first = jsonl(path, shuffle_choices=True)
    assert first == jsonl(path, shuffle_choices=True) != jsonl(path, shuffle_choices=True, seed=1)
    assert all(p.choices[LETTERS.index(p.answer)] == "right" for p in first.problems)
    assert min(Counter(p.answer for p in first.problems)[letter] for letter in "ABCD") >= 6
    half = jsonl(write(path, rows[30:]), shuffle_choices=True)
    assert half.problems == first.problems[30:]
    assert (
        shuffled("abc", 1, "k") == shuffled("abc", 1, "k") and shuffled("abc", 1, "k")[1] == shuffled("xyz", 1, "k")[1]
    )


def test_render() -> None:
    assert render_choices("Q? ", ["x", "y"]) == "Q?\n\nA. x\nB. y"


@pytest.mark.parametrize(
    ("keys", "grader", "prompt"),
    [
        ({}, "likelihood_letter", "Which?\nA. one\nB. two\nAnswer:"),
        ({"likelihood": "text"}, "likelihood_text", "Question: Which?\nAnswer:"),
        ({"likelihood": "text_normalised"}, "likelihood_text_normalised", "Question: Which?\nAnswer:"),
        (
            {"instruction": "The following are questions."},
            "likelihood_letter",
            "The following are questions.\n\nWhich?\nA. one\nB. two\nAnswer:",
        ),
    ],
)
def test_choices_by_likelihood(tmp_path: Path, keys: dict[str, str], grader: str, prompt: str) -> None:
    suite = jsonl(write(tmp_path / "s.jsonl", [ROW]), method="likelihood", **keys)
    (problem,) = suite.problems
    assert (suite.grader, suite.method, problem.question, problem.answer) == (grader, "likelihood", prompt, "B")
    assert (problem.choices, suite.chance) == (("one", "two"), 0.5)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"choices": None}, r"method=likelihood needs choices, and column 'choices' has none"),
        ({"choices": ["one"]}, r"a multiple choice has 2 to 10 choices, this one has 1"),
        ({"choices": []}, r"a multiple choice has 2 to 10 choices, this one has 0"),
        ({"choices": ["one", " "]}, r"choice B is empty"),
        ({"choices": "A or B"}, r"choices must be a list of texts, got 'A or B'"),
        ({"answer": "C"}, r"the answer must be a letter A to B or an index 0 to 1, got 'C'"),
        ({"answer": "two"}, r"the answer must be a letter A to B or an index 0 to 1, got 'two'"),
        ({"answer": ""}, r"'answer' must be text or a number, got ''"),
        ({"problem": " "}, r"'problem' must be non-empty text"),
    ],
)
def test_a_broken_choice_is_named_by_its_line(tmp_path: Path, row: dict[str, Any], says: str) -> None:
    path = write(tmp_path / "s.jsonl", [ROW, {**ROW, "id": "b", **row}])
    with pytest.raises(UserError, match=rf"s\.jsonl:2: {says}"):
        jsonl(path, method="likelihood")


@pytest.mark.parametrize(
    ("answer", "index"),
    [("B", 1), ("b", 1), ("(B)", 1), ("B.", 1), ("Ｂ", 1), ("Б", 1), ("乙", 1), ("イ", 1), (1, 1), ("Γ", 2)],
)
def test_the_right_choice_in_other_scripts(answer: str | int, index: int) -> None:
    assert read_choices(["one", "two", "three"], answer)[1] == index


@pytest.mark.parametrize(
    "answer", ["В", "D", "(1)", "AB", ""]
)  # the first looks like a B and is the third of its script
def test_what_names_no_choice_is_refused(answer: str) -> None:
    with pytest.raises(ValueError, match="the answer must be a letter A to C or an index 0 to 2"):
        read_choices(["one", "two", "three"], answer)


def test_labels_of_the_row_come_first() -> None:
    assert read_choices({"text": ["one", "two"], "label": ["Б", "А"]}, "А") == (("one", "two"), 1)
