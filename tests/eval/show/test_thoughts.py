"""Thoughts side by side: which, how much of them, and what is counted."""

import json

import pytest

from eval.samples import GradedThought
from eval.show.marked_text import Part
from eval.show.thoughts import (
    LATER,
    MOST_PROBLEMS,
    ShownProblem,
    ShownThought,
    chosen_problems,
    side_by_side,
    within,
)
from runtime.files import as_lines
from tests.eval.show.made_rows import made_thought, write_thoughts

PLACES = {"unpruned": 0, "pruned": 0, "run": 10}
GRADES = {"unpruned": {"p1": "11", "p2": "11"}, "pruned": {"p1": "10", "p2": "00"}, "run": {"p1": "01", "p2": "00"}}


@pytest.fixture
def folder(tmp_path):
    for model, grades in GRADES.items():
        write_thoughts(tmp_path, model, PLACES[model], [made_thought(each, grades[each]) for each in grades])
    return tmp_path / "samples"


def a_problem(id, key, text=""):
    thoughts = [ShownThought(str(place), str(place), "", (Part(text),), (), grade) for place, grade in enumerate(key)]
    return ShownProblem(id, "", "", tuple(thoughts))


def test_each_model_with_its_grades_at_every_budget(folder):
    questions = [{"suite": "chain", "id": "p1", "question": "2 + 2?", "answer": "4"}]
    shown = side_by_side(folder, PLACES, "chain", questions)
    assert shown.models == {"unpruned": "unpruned", "pruned": "pruned", "run": "recovered, step 10"}
    assert (shown.budgets, shown.count) == (("8", "16"), 2)
    first, second = shown.problems
    assert (first.id, first.question, first.gold, second.question) == ("p1", "2 + 2?", "4", "")
    assert [thought.grades for thought in first.thoughts] == ["11", "10", "01"]
    assert first.thoughts[0].ending == "terminated after 16 tokens"
    assert [(answer.budgets, answer.text, answer.right) for answer in first.thoughts[2].answers] == [
        ("8", "answer 0", False),
        ("16", "answer 1", True),
    ]


def test_all_problems_are_counted_by_their_grades_at_the_largest_budget(folder):
    kinds = side_by_side(folder, PLACES, "chain", []).kinds
    assert kinds.head == ["unpruned", "pruned", "recovered, step 10", "problems", "shown here"]
    assert kinds.lines == [["right", "wrong", "right", "1", "1"], ["right", "wrong", "wrong", "1", "1"]]


def test_models_without_a_file_are_left_out(folder):
    shown = side_by_side(folder, {"unpruned": 0, "run": 99}, "chain", [])
    assert list(shown.models) == ["unpruned"] and side_by_side(folder, {"run": 99}, "chain", []) is None


@pytest.mark.parametrize("suite", ["../chain", "/etc", ""])
def test_a_suite_is_never_a_path(folder, suite):
    assert side_by_side(folder / "chain", PLACES, suite, []) is None


@pytest.mark.parametrize("text", ["", "{}\n", "[1]\n", '{"budgets": [8]}\n{"problem": "p1"}\n', "\xff"])
def test_a_file_that_is_none_is_named(folder, text):
    (folder / "chain/run-000010.jsonl").write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match=r"run-000010.jsonl is damaged"):
        side_by_side(folder, PLACES, "chain", [])


def test_a_missing_thought_says_why(tmp_path):
    missing = {**made_thought("p1", "11"), "answers": [], "failure": "HTTP 503"}
    write_thoughts(tmp_path, "run", 10, [missing])
    (problem,) = side_by_side(tmp_path / "samples", {"run": 10}, "chain", []).problems
    assert (problem.thoughts[0].ending, problem.thoughts[0].grades) == ("missing: HTTP 503", "--")


def test_every_combination_of_grades_has_its_turn_and_changes_come_first():
    problems = [a_problem(f"same-{number}", "111") for number in range(40)] + [a_problem("back", "101")]
    chosen = [problem.id for problem in chosen_problems(problems)]
    assert chosen[:3] == ["back", "same-0", "same-1"] and len(chosen) == MOST_PROBLEMS


def test_a_page_takes_as_many_as_fit_and_always_one():
    problems = [a_problem(str(number), "1", "<" * 1000) for number in range(5)]
    assert [problem.id for problem in within(problems, 2 * problems[0].bytes)] == ["0", "1"]
    assert [problem.id for problem in within(problems, 1)] == ["0"] and problems[0].bytes >= 4000


def test_budgets_are_marked_where_the_file_says_so_and_thoughts_without_are_counted(tmp_path):
    placed = made_thought("p1", "01", "so it is 4")
    placed["answers"][0]["thinking_characters"], placed["answers"][1]["thinking_characters"] = 5, 10
    write_thoughts(tmp_path, "run", 10, [placed, made_thought("p2", "11")])
    shown = side_by_side(tmp_path / "samples", {"run": 10}, "chain", [])
    assert [problem.thoughts[0].thinking for problem in shown.problems] == [
        (Part("so it", "8"), Part(" is 4")),
        (Part("so it is 4"),),
    ]
    assert shown.unplaced == 1


def test_marks_that_turn_letters_are_written_out(tmp_path):
    write_thoughts(tmp_path, "run", 10, [made_thought("p\u202e1", "11", "a\u2067b\x1b[2J")])
    (problem,) = side_by_side(tmp_path / "samples", {"run": 10}, "chain", []).problems
    assert problem.id == "p\\u202e1" and problem.thoughts[0].thinking == (Part("a\\u2067b\\x1b[2J"),)


def test_the_line_of_a_later_thought_is_known_by_its_begin():
    lines = [
        as_lines([GradedThought(problem, sample, "close", 0, "so", ()).row()])
        for problem in ("p", 'a "quoted" \\ one')
        for sample in (0, 1, 12)
    ]
    assert [bool(LATER.match(line)) for line in lines] == [False, True, True] * 2


def test_the_first_thought_about_a_problem_counts(tmp_path):
    again = {**made_thought("p1", "00", "second"), "sample": 1}
    write_thoughts(tmp_path, "run", 10, [made_thought("p1", "11", "first"), again])
    (problem,) = side_by_side(tmp_path / "samples", {"run": 10}, "chain", []).problems
    assert problem.thoughts[0].thinking == (Part("first"),) and json.dumps(problem.key) == '"1"'
