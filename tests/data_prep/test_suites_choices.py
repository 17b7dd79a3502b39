"""Multiple choice, CSV files and the known benchmarks, on small files and (where they lie here) on the real ones."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from data_prep.problem import Suite
from data_prep.suites.benchmarks import BENCHMARKS, BOXED_LETTER
from data_prep.suites.choices import LETTERS, render_choices, shuffled
from data_prep.suites.load import load_suite
from recipes.errors import UserError
from recipes.paths import ROOT
from recipes.suites import HubSuite, JsonlSuite, NamedSuite, ReasoningGymSuite

DATA = ROOT / "../shared/data"
GPQA = {
    "Question": "Which?",
    "Correct Answer": "right\n",
    "Incorrect Answer 1": "w1",
    "Incorrect Answer 2": "w2",
    "Incorrect Answer 3": "w3",
}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8-sig") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def jsonl(path: Path, **keys: Any) -> Suite:
    return load_suite(JsonlSuite.model_validate({"source": "jsonl", "name": "s", "path": path, **keys}))


def named(name: str, path: Path, **keys: Any) -> Suite:
    return load_suite(NamedSuite.model_validate({"source": "named", "name": name, "path": path, **keys}))


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
            r"stands for one of its choices; grader=math cannot compare it",
        ),
        ({"answer": "Paris"}, "choice", r"the answer of problem 0 is 'Paris', which is no letter A to J"),
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


@pytest.mark.parametrize("name", ["gpqa.csv", "gpqa.jsonl"])
def test_gpqa_from_an_own_copy(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, [{"Record ID": f"rec{i}", **GPQA} for i in range(20)])
    suite = named("gpqa_diamond", path)
    assert (suite.name, suite.grader, suite.problems[3].id) == ("gpqa_diamond", "choice", "rec3")
    assert all(p.choices[LETTERS.index(p.answer)] == "right" for p in suite.problems)
    assert all(p.question.endswith(BOXED_LETTER) for p in suite.problems)
    assert len({p.answer for p in suite.problems}) == 4
    assert suite.hash != named("gpqa_diamond", path, seed=1).hash


def test_csv_without_choices(tmp_path: Path) -> None:
    path = write(tmp_path / "s.csv", [{"problem": "a, b?\n2", "answer": "4"}, {"problem": "c", "answer": "5"}])
    assert [p.question for p in jsonl(path).problems] == ["a, b?\n2", "c"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("s.csv", b"problem,answer\np,\n", r"s\.csv:2: 'answer' must be a text or a number, got ''"),
        ("s.csv", b"problem,answer\np\n", r"s\.csv:2: 'answer' must be a text or a number, got None"),
        ("s.csv", b"problem,answer\n\xff,1\n", r"s\.csv:2: 'problem' is not UTF-8"),
        ("s.jsonl", b"[" * 100_000 + b"\n", r"s\.jsonl cannot be read|not JSON"),
        ("s.csv", b"", r"there is no problem in it"),
    ],
)
def test_a_broken_file_is_one_mistake(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=says):
        jsonl(tmp_path / name)


def test_a_gpqa_row_without_a_wrong_answer_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "s.jsonl", [{key: GPQA[key] for key in GPQA if key != "Incorrect Answer 3"}])
    with pytest.raises(UserError, match=r"s\.jsonl:1: choices must be a list of texts"):
        named("gpqa_diamond", path)


def test_gsm8k_gold_stands_after_its_mark(tmp_path: Path) -> None:
    path = write(
        tmp_path / "s.jsonl",
        [{"question": "q", "answer": "1+1=<<1+1=2>>2\n#### 1,002"}, {"question": "r", "answer": "3"}],
    )
    suite = named("gsm8k", path, instruction="")
    assert [(p.question, p.answer) for p in suite.problems] == [
        ("q", "1,002"),
        ("r", "3"),
    ] and suite.grader == "integer"


def test_reasoning_gym_without_its_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data_prep.suites.reasoning_gym.find_spec", lambda name: None)
    section = ReasoningGymSuite(source="reasoning_gym", name="s", task="chain_sum", size=2)
    with pytest.raises(UserError, match=r"sweep\.suites \(s\): .* pip install 'chainmend\[reasoning-gym\]'"):
        load_suite(section)


def test_the_table_and_the_recipe_name_the_same_benchmarks() -> None:
    assert set(BENCHMARKS) == set(get_args(NamedSuite.model_fields["name"].annotation))


def test_a_hub_data_set_that_cannot_be_had_is_one_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **keys: Any) -> None:
        raise ConnectionError("no network\nmany lines")

    monkeypatch.setattr("datasets.load_dataset", refuse)
    with pytest.raises(
        UserError, match=r"\(s\)\.id: the data set a/b \(split test\) cannot be had: no network\nput a copy"
    ):
        load_suite(HubSuite(source="hub", name="s", id="a/b"))


@pytest.mark.parametrize(
    ("name", "rows", "columns"),
    [
        (
            "arc_challenge",
            [{"id": "m", "question": "q", "choices": {"text": ["a", "b"], "label": ["1", "2"]}, "answerKey": "2"}],
            "B",
        ),
        ("mmlu", [{"question": "q", "subject": "s", "choices": ["a", "b"], "answer": 1}], "B"),
        ("math500", [{"unique_id": "u", "problem": "q", "answer": "B", "solution": "s"}], "B"),
        ("amc23", [{"id": 0, "question": "q", "answer": "27.0"}], "27.0"),
    ],
)
def test_rows_as_the_hub_gives_them(
    monkeypatch: pytest.MonkeyPatch, name: str, rows: list[dict[str, Any]], columns: str
) -> None:
    asked = []
    monkeypatch.setattr("datasets.load_dataset", lambda *where, split: asked.append((*where, split)) or rows)
    (problem,) = load_suite(NamedSuite.model_validate({"source": "named", "name": name})).problems
    assert problem.answer == columns and problem.question.startswith("q\n\n")
    assert asked == [(BENCHMARKS[name].hub, BENCHMARKS[name].config, BENCHMARKS[name].split)]


ROW = {"id": "a", "problem": " Which?\n", "choices": ["one", "two"], "answer": "B"}


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
    ("name", "grader"),
    [
        ("mmlu", "likelihood_letter"),
        ("gpqa_diamond", "likelihood_letter"),
        ("arc_challenge", "likelihood_text_normalised"),
    ],
)
def test_named_suites_are_scored_as_is_usual_for_them(tmp_path: Path, name: str, grader: str) -> None:
    row = GPQA if name == "gpqa_diamond" else ROW
    suite = named(name, write(tmp_path / "s.jsonl", [row]), method="likelihood")
    assert suite.grader == grader and "boxed" not in suite.problems[0].question
    assert suite.hash != named(name, tmp_path / "s.jsonl").hash
    assert named(name, tmp_path / "s.jsonl", method="likelihood", likelihood="text").grader == "likelihood_text"


def test_every_way_of_asking_has_a_hash_of_its_own(tmp_path: Path) -> None:
    path = write(tmp_path / "s.jsonl", [ROW])
    ways = [{}, *({"method": "likelihood", "likelihood": way} for way in ("letter", "text", "text_normalised"))]
    assert len({jsonl(path, **way).hash for way in ways}) == 4


def test_chance_is_the_mean_over_problems_and_none_without_choices(tmp_path: Path) -> None:
    rows = [ROW, {**ROW, "id": "b", "choices": ["a", "b", "c", "d"]}]
    assert jsonl(write(tmp_path / "s.jsonl", rows)).chance == 0.375
    assert jsonl(write(tmp_path / "s.jsonl", [{"problem": "p", "answer": "4"}])).chance is None


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
        ({"answer": ""}, r"'answer' must be a text or a number, got ''"),
        ({"problem": " "}, r"'problem' must be text that is not empty"),
    ],
)
def test_a_broken_choice_is_named_by_its_line(tmp_path: Path, row: dict[str, Any], says: str) -> None:
    path = write(tmp_path / "s.jsonl", [ROW, {**ROW, "id": "b", **row}])
    with pytest.raises(UserError, match=rf"s\.jsonl:2: {says}"):
        jsonl(path, method="likelihood")


def test_ids_that_come_twice_are_named_with_both_lines(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"s\.jsonl:2: 'id' must differ .* 'a' also stands at .*s\.jsonl:1"):
        jsonl(write(tmp_path / "s.jsonl", [ROW, ROW]), method="likelihood")


@pytest.mark.parametrize(
    ("kind", "keys", "says"),
    [
        (JsonlSuite, {"source": "jsonl", "path": "x", "grader": "math"}, "grades no text; leave out grader=math"),
        (NamedSuite, {"source": "named", "name": "math500"}, "method=likelihood: math500 has no choices"),
    ],
)
def test_likelihood_is_for_choices_alone(kind: Any, keys: dict[str, str], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        kind.model_validate({"name": "s", "method": "likelihood", **keys})


def test_real_choices_by_likelihood() -> None:
    if not (DATA / "mmlu_stem_500.jsonl").is_file():
        pytest.skip(f"no mmlu_stem_500.jsonl at {DATA}: it is not shipped with the repository")
    suite = named("mmlu", DATA / "mmlu_stem_500.jsonl", method="likelihood")
    generated = named("mmlu", DATA / "mmlu_stem_500.jsonl")
    assert [p.answer for p in suite.problems] == [p.answer for p in generated.problems]
    assert all(p.question.endswith("\nAnswer:") and f"\nD. {p.choices[3]}\n" in p.question for p in suite.problems)
    assert suite.chance == 0.25


@pytest.mark.parametrize(
    ("name", "file", "size", "grader"),
    [
        ("math500", "math500.jsonl", 500, "math"),
        ("aime24", "aime24.jsonl", 30, "integer"),
        ("aime25", "aime25.jsonl", 30, "integer"),
        ("amc23", "amc23.jsonl", 40, "integer"),
        ("gsm8k", "gsm8k_test.jsonl", 1319, "integer"),
        ("gsm8k", "gsm8k_train_part.jsonl", 2796, "integer"),
        ("mmlu", "mmlu_stem_500.jsonl", 500, "choice"),
    ],
)
def test_real_files(name: str, file: str, size: int, grader: str) -> None:
    if not (DATA / file).is_file():
        pytest.skip(f"no {file} at {DATA}: it is not shipped with the repository")
    suite = named(name, DATA / file)
    assert (len(suite.problems), suite.grader) == (size, grader)
    assert len(named(name, DATA / file, size=20, seed=3).problems) == 20
    plain = jsonl(DATA / file)
    assert [p.answer for p in plain.problems] == [p.answer for p in suite.problems]
    assert plain.grader == ("choice" if grader == "choice" else "math")
