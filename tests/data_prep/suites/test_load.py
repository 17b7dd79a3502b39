"""Suites: what is loaded, and what is refused, from small files and (where they are at hand) from the real ones."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from data_prep.problem import Problem, Suite
from data_prep.suites.choices import LETTERS
from data_prep.suites.load import LOADERS, load_suite
from recipes.benchmarks import BENCHMARKS, BOXED_LETTER
from recipes.errors import UserError
from recipes.keys import sections_in
from recipes.paths import ROOT
from recipes.suites import HubSuite, JsonlSuite, NamedSuite, NanoSuite, SuiteSection
from tests.data_prep.suite_files import ROW, jsonl, named, write

GOOD = {"id": "p1", "problem": "2+2?", "answer": "4"}


def load(folder: Path, *rows: Any, grader: str = "exact") -> Suite:
    path = folder / "suite.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return load_suite(JsonlSuite.model_validate({"source": "jsonl", "name": "s", "path": path, "grader": grader}))


def test_missing_ids_are_row_numbers(tmp_path: Path) -> None:
    suite = load(tmp_path, {"question": "2+2?", "answer": 4.0}, GOOD, {"problem": "3+3?", "answer": "6"})
    assert [(p.id, p.question, p.answer) for p in suite.problems] == [
        ("0", "2+2?", "4"),
        ("p1", "2+2?", "4"),
        ("2", "3+3?", "6"),
    ]


def test_the_group_of_a_problem_is_a_column_and_no_part_of_the_hash(tmp_path: Path) -> None:
    rows = [GOOD | {"group": 2024, "subject": "sums"}, GOOD | {"id": "p2"}]
    suite, plain = load(tmp_path, *rows), load(tmp_path, GOOD, GOOD | {"id": "p2"})
    assert (suite.groups, plain.groups, suite.hash == plain.hash) == ({"p1": "2024"}, None, True)
    path = tmp_path / "suite.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    section = {"source": "jsonl", "name": "s", "path": path, "grader": "exact", "group": "subject"}
    assert load_suite(JsonlSuite.model_validate(section)).groups == {"p1": "sums"}


def test_a_known_benchmark_has_the_group_column_that_the_recipe_names(tmp_path: Path) -> None:
    path = tmp_path / "math.jsonl"
    path.write_text(json.dumps({"unique_id": "a", "problem": "2+2?", "answer": "4", "subject": "Algebra"}) + "\n")
    section = NamedSuite.model_validate({"source": "named", "name": "math500", "path": path, "group": "subject"})
    assert load_suite(section).groups == {"a": "Algebra"}


def test_nano_suite() -> None:
    suite = load_suite(NanoSuite(source="nano", name="facts", family="knowledge", size=64))
    assert (suite.name, suite.grader, len(suite.problems)) == ("facts", "exact", 64)


def test_a_suite_of_the_second_world_asks_chains_of_its_lengths() -> None:
    suite = load_suite(NanoSuite(source="nano", name="ways", family="ways", size=64))
    assert {problem.question.count("#") for problem in suite.problems} == set(range(2, 17))


@pytest.mark.parametrize(("family", "size"), [("knowledge", 64), ("shallow", 154)])
def test_a_nano_suite_larger_than_its_family_is_refused(family: str, size: int) -> None:
    section = NanoSuite.model_validate({"source": "nano", "name": "s", "family": family, "size": size + 1})
    with pytest.raises(UserError, match=rf"sweep\.suites \(s\)\.size: the {family} family has only {size} problems"):
        load_suite(section)


def test_jsonl_suite(tmp_path: Path) -> None:
    suite = load(tmp_path, GOOD, {"id": 2, "problem": "3+3?", "answer": 6})
    assert suite == Suite("s", (Problem("p1", "2+2?", "4"), Problem("2", "3+3?", "6")), "exact")


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (GOOD, "'id' must be unique, 'p1' is also at "),
        ({"problem": "q", "answer": "4", "id": "p1 "}, "'id' must be unique"),
        ({"id": 2, "text": "q", "answer": "4"}, "got None; the row has the columns id, text, answer"),
        ({**GOOD, "id": 2, "answer": float("nan")}, "every problem needs a gold answer"),
        (
            {**GOOD, "id": 2, "choices": ["a", "b"], "answer": "C"},
            "the answer must be a letter A to B or an index 0 to 1, got 'C'",
        ),
        (
            {**GOOD, "id": 2, "choices": ["a", "b"], "answer": 2},
            "the answer must be a letter A to B or an index 0 to 1, got 2",
        ),
        ({**GOOD, "id": 2, "choices": ["a", "b"], "answer": "a b"}, "the answer must be a letter"),
        ({**GOOD, "id": 2, "choices": ["a"], "answer": "A"}, "a multiple choice has 2 to 10 choices, this one has 1"),
        ({**GOOD, "id": 2, "choices": "ab", "answer": "A"}, "choices must be a list of texts, got 'ab'"),
        ({**GOOD, "id": 2, "choices": ["a", " "], "answer": "A"}, "choice B is empty"),
        ({**GOOD, "id": 2, "answer": "  "}, "every problem needs a gold answer"),
        ({**GOOD, "id": 2, "answer": None}, "every problem needs a gold answer"),
        ({**GOOD, "id": 2, "answer": ["4"]}, "'answer' must be text or a number"),
        ({"id": 2, "problem": "q"}, "'answer' must be text or a number, got None"),
        ({"id": 2, "answer": "4"}, "'problem' must be non-empty text, got None"),
        ({**GOOD, "id": 2, "problem": ""}, "'problem' must be non-empty text"),
        ([1], "a row must be an object, got list"),
    ],
)
def test_a_broken_row_is_named(tmp_path: Path, row: Any, says: str) -> None:
    with pytest.raises(UserError) as caught:
        load(tmp_path, GOOD, row)
    assert str(caught.value).startswith(f"{tmp_path / 'suite.jsonl'}:2: ")
    assert says in str(caught.value)


def test_a_line_that_is_not_json_is_named(tmp_path: Path) -> None:
    path = tmp_path / "suite.jsonl"
    path.write_text("oops\n")
    with pytest.raises(UserError, match=r"suite\.jsonl:1: not JSON"):
        load_suite(JsonlSuite(source="jsonl", name="s", path=path))


def test_an_empty_suite_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"sweep\.suites \(s\): it contains no problems"):
        load(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"sweep\.suites \(s\)\.path: no file at "):
        load_suite(JsonlSuite(source="jsonl", name="s", path=tmp_path / "none.jsonl"))


@pytest.mark.parametrize("answer", ["1/2", "#### 72", "seven", "7.5"])
def test_the_integer_grader_refuses_other_gold_answers(tmp_path: Path, answer: str) -> None:
    with pytest.raises(UserError, match=r"the answer of problem p1 is .* which grader=integer cannot compare"):
        load(tmp_path, {**GOOD, "answer": answer}, grader="integer")


@pytest.mark.parametrize("answer", ["033", "-7", "1,234", 5, "27.0"])
def test_the_integer_grader_takes_integers(tmp_path: Path, answer: str | int) -> None:
    assert load(tmp_path, {**GOOD, "answer": answer}, grader="integer").problems[0].answer == str(answer)


def test_a_data_set_with_other_column_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "test.jsonl").write_text('{"q": "2+2?", "gold": 4}\n{"q": "3+3?", "gold": 6}\n')
    suite = load_suite(HubSuite(source="hub", name="s", id=str(folder), problem="q", answer="gold"))
    assert suite == Suite("s", (Problem("0", "2+2?", "4"), Problem("1", "3+3?", "6")), "math")


def test_a_size_draws_that_many_problems_by_the_seed_and_keeps_their_order(tmp_path):
    path = tmp_path / "suite.jsonl"
    path.write_text("".join(f'{{"id": "{i}", "problem": "p{i}", "answer": "{i}"}}\n' for i in range(50)))

    def drawn(seed):
        section = JsonlSuite(source="jsonl", name="s", path=path, grader="exact", size=20, seed=seed)
        return [int(problem.id) for problem in load_suite(section).problems]

    assert len(drawn(0)) == 20 and drawn(0) == sorted(drawn(0)) == drawn(0) != drawn(1)


def test_a_size_beyond_the_suite_is_refused(tmp_path):
    path = tmp_path / "suite.jsonl"
    path.write_text('{"id": "1", "problem": "p", "answer": "1"}\n')
    with pytest.raises(UserError, match=r"size=2: there are only 1 problems; write at most 1"):
        load_suite(JsonlSuite(source="jsonl", name="s", path=path, grader="exact", size=2))


DATA = ROOT / "../shared/data"


GPQA = {
    "Question": "Which?",
    "Correct Answer": "right\n",
    "Incorrect Answer 1": "w1",
    "Incorrect Answer 2": "w2",
    "Incorrect Answer 3": "w3",
}


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
        ("s.csv", b"problem,answer\np,\n", r"s\.csv:2: 'answer' must be text or a number, got ''"),
        ("s.csv", b"problem,answer\np\n", r"s\.csv:2: 'answer' must be text or a number, got None"),
        ("s.csv", b"problem,answer\n\xff,1\n", r"s\.csv:2: 'problem' is not UTF-8"),
        ("s.jsonl", b"[" * 100_000 + b"\n", r"s\.jsonl cannot be read|not JSON"),
        ("s.csv", b"", r"it contains no problems"),
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


def test_a_hub_data_set_that_cannot_be_had_is_one_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **keys: Any) -> None:
        raise ConnectionError("no network\nmany lines")

    monkeypatch.setattr("datasets.load_dataset", refuse)
    with pytest.raises(
        UserError, match=r"\(s\)\.id: the data set a/b \(split test\) cannot be loaded: no network\nput a copy"
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
        ("amc23", [{"id": 0, "question": "q", "answer": Decimal("27.00")}], "27"),
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


def test_ids_that_come_twice_are_named_with_both_lines(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"s\.jsonl:2: 'id' must be unique, 'a' is also at .*s\.jsonl:1"):
        jsonl(write(tmp_path / "s.jsonl", [ROW, ROW]), method="likelihood")


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


def test_every_source_of_suites_has_a_loader() -> None:
    assert set(LOADERS) == set(sections_in(SuiteSection))
