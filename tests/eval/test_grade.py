"""`python -m eval.grade`: rows in, graded rows out, and every mistake in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from eval.grade import main, read_rows
from recipes.errors import UserError
from recipes.paths import ROOT

ROWS = [
    {"id": "a", "gold": "7", "text": "<think>\\boxed{9}</think> \\boxed{7}", "model": "kept"},
    {"id": "a", "gold": "7", "text": "<think>7"},
    {"id": 2, "gold": 7, "text": "<think>1</think>8</think> so 7"},
    {"id": 3, "gold": "7", "text": "</think> \\boxed{8} <think> no, \\boxed{7}"},
    {"id": 4, "gold": "7", "text": "\\boxed{7}"},
    {"id": 5, "gold": "7", "text": "<think>7</think>"},
]


def grade(folder: Path, rows: list[Any], *arguments: str) -> list[dict[str, Any]]:
    (folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    main([str(folder / "in.jsonl"), f"out={folder / 'out.jsonl'}", *arguments])
    return [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("grader", ["integer", "math"])
def test_rows_gain_their_grades_and_keep_order_and_keys(tmp_path: Path, grader: str) -> None:
    graded = grade(tmp_path, ROWS, f"grader={grader}")
    assert [{key: row[key] for key in row if key not in ("correct", "extracted", "reason")} for row in graded] == ROWS
    assert [row["correct"] for row in graded] == [True, False, True, False, True, False]
    assert [row["reason"] for row in graded][:5] == ["equal", "unclosed thought", "equal", "unclosed thought", "equal"]
    assert graded[1]["extracted"] == ""


def test_the_summary_has_the_interval_by_problem_and_the_reasons(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grade(tmp_path, ROWS, "grader=integer")
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("accuracy 0.5000 [0.") and said[0].endswith("6 answers to 5 problems, 3 correct")
    assert [line.split(maxsplit=1) for line in said[1:]] == [
        ["3", "equal"],
        ["2", "unclosed thought"],
        ["1", "no integer"],
    ]


MARKS = {
    "think": ("<think>", "</think>"),
    "s1": ("<|im_start|>think", "<|im_start|>answer"),
    "own": ("[REASON]", "[/REASON]"),
}


@pytest.mark.parametrize("marks", MARKS.values(), ids=MARKS)
@pytest.mark.parametrize(
    ("text", "opened_in_text", "opened_in_prompt"),
    [
        ("{open}\nis it 7?\n{close}\n\n8", "differs", "differs"),
        ("{open}\nis it 8?\n{close}\n\n7", "equal", "equal"),
        ("is it 8?\n{close}\n\n7", "equal", "equal"),
        ("8 {close} 9 {close} 7", "equal", "equal"),
        ("{open} 8 {close} 9 {open} 6 {close} 7", "equal", "equal"),
        ("{open}\nit is 7", "unclosed thought", "unclosed thought"),
        ("{open} 8 {close} 7 {open} hm, 7", "unclosed thought", "unclosed thought"),
        ("7", "equal", "unclosed thought"),
        ("7 {close}", "no integer", "no integer"),
    ],
)
def test_what_is_graded_of_a_transcript(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    marks: tuple[str, str],
    text: str,
    opened_in_text: str,
    opened_in_prompt: str,
) -> None:
    rows = [{"id": 1, "gold": "7", "text": text.format(open=marks[0], close=marks[1])}]
    for opened, reason in (("text", opened_in_text), ("prompt", opened_in_prompt)):
        (tmp_path / opened).mkdir()
        (graded,) = grade(
            tmp_path / opened, rows, "grader=integer", f"open={marks[0]}", f"close={marks[1]}", f"opened={opened}"
        )
        assert (graded["reason"], graded["correct"]) == (reason, reason == "equal")
        assert "1 answers to 1 problems" in capsys.readouterr().out


def test_other_marks(tmp_path: Path) -> None:
    texts = ["<|im_start|>think 7 <|im_start|>answer 8", "<|im_start|>think 7", "<think>7"]
    rows = [{"id": i, "gold": "7", "text": text} for i, text in enumerate(texts)]
    graded = grade(tmp_path, rows, "grader=integer", "open=<|im_start|>think", "close=<|im_start|>answer")
    assert [(row["correct"], row["reason"]) for row in graded] == [
        (False, "differs"),
        (False, "unclosed thought"),
        (True, "equal"),
    ]


@pytest.mark.parametrize(
    ("grader", "gold", "text"), [("choice", "B", "answer: (B)"), ("exact", "Paris", "answer paris")]
)
def test_graders(tmp_path: Path, grader: str, gold: str, text: str) -> None:
    assert grade(tmp_path, [{"id": 1, "gold": gold, "text": text}], f"grader={grader}")[0]["correct"]


@pytest.mark.parametrize(
    ("gold", "grader", "text"),
    [
        (4e-9, "math", "0.000000004"),
        (4.0, "math", "4"),
        (6e22, "math", "60000000000000000000000"),
        (0.1 + 0.2, "math", "0.3"),
        (2.5e6, "integer", "2,500,000"),
        (["12"], "math", "12"),
        ([12], "integer", "12"),
        (["B"], "choice", "B"),
        (["5", 2.5], "math", "5/2, 5"),
    ],
)
def test_gold_answers_that_are_numbers_or_lists(tmp_path: Path, gold: Any, grader: str, text: str) -> None:
    rows = [{"id": i, "gold": gold, "text": f"\\boxed{{{answer}}}"} for i, answer in enumerate((text, "7"))]
    assert [row["correct"] for row in grade(tmp_path, rows, f"grader={grader}")] == [True, False]


def test_only_mathematics_has_an_answer_in_parts(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"in\.jsonl:1: 'gold' has 2 parts: only grader=math reads an answer in parts"):
        grade(tmp_path, [{"id": 1, "gold": ["1", "2"], "text": "1"}], "grader=integer")


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ([1], "a row must be an object {id, gold, text}, got list"),
        ({"gold": "7", "text": "7"}, "'id' must be a text or an integer, got None"),
        ({"id": 1, "text": "7"}, "'gold' must be a non-empty text or a number, got None"),
        ({"id": 1, "gold": " ", "text": "7"}, "'gold' must be a non-empty text or a number, got ' '"),
        ({"id": 1, "gold": [], "text": "7"}, "'gold' must be a text, a number, or a non-empty list of these"),
        ({"id": 1, "gold": [["7"]], "text": "7"}, "'gold' must be a text, a number, or a non-empty list of these"),
        ({"id": 1, "gold": {"a": 7}, "text": "7"}, "'gold' must be a non-empty text or a number"),
        ({"id": 1, "gold": float("inf"), "text": "7"}, "'gold' must be a finite number, got inf"),
        ({"id": 1, "gold": "7"}, "'text' must be text, got NoneType"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_written(tmp_path: Path, row: Any, says: str) -> None:
    with pytest.raises(UserError) as caught:
        grade(tmp_path, [ROWS[0], row])
    assert str(caught.value).startswith(f"{tmp_path / 'in.jsonl'}:2: {says}")
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_a_line_that_is_not_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"id": 1\n')
    with pytest.raises(UserError, match=r"in\.jsonl:1: not JSON"):
        main([str(tmp_path / "in.jsonl"), f"out={tmp_path / 'out.jsonl'}"])


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("rows.jsonl", b'{"id": "\xff"}\n', "rows.jsonl:1: not JSON"),
        ("rows.jsonl.gz", b'{"id": "a"}\n', "rows.jsonl.gz cannot be read"),
    ],
)
def test_other_bytes_are_one_clear_line(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=says):
        read_rows(tmp_path / name)


def test_a_mark_of_byte_order_and_separators_inside_a_text_do_no_harm(tmp_path: Path) -> None:
    row = {"id": "a\u2028b", "gold": "4", "text": "4\u0085"}
    (tmp_path / "rows.jsonl").write_bytes(b"\xef\xbb\xbf" + json.dumps(row, ensure_ascii=False).encode() + b"\n")
    assert read_rows(tmp_path / "rows.jsonl") == [row]


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_text("mine")
    with pytest.raises(UserError, match=r"out=.*out\.jsonl: exists already"):
        grade(tmp_path, ROWS)
    assert (tmp_path / "out.jsonl").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], r"give one FILE\.jsonl and out=FILE, got nothing"),
        (["IN"], r"give one FILE\.jsonl and out=FILE"),
        (["IN", "IN", "out=OUT"], r"give one FILE\.jsonl and out=FILE"),
        (
            ["IN", "out=OUT", "grader=llm"],
            r"grader=llm: not a grader of this command; allowed: math, integer, exact, choice",
        ),
        (["IN", "out=OUT", "opened=maybe"], r"opened=maybe: .* allowed: text, prompt"),
        (["IN", "out=OUT", "close="], r"open= and close= must not be empty"),
        (["IN", "out=none/OUT"], r"there is no folder none"),
        (["none.jsonl", "out=OUT"], r"no file at none\.jsonl"),
        (["IN", "out=OUT"], r"IN has no rows"),
    ],
)
def test_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("IN").write_text("")
    with pytest.raises(UserError, match=says):
        main(arguments)
    assert not Path("OUT").exists()


@pytest.mark.slow
def test_the_command(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    command = [sys.executable, "-m", "eval.grade", str(tmp_path / "in.jsonl"), f"out={tmp_path / 'out.jsonl'}"]
    first, second = (subprocess.run(command, cwd=ROOT, capture_output=True, text=True) for _ in range(2))
    assert (first.returncode, first.stderr) == (0, "") and first.stdout.startswith("accuracy 0.5000")
    assert second.returncode == 2 and second.stderr.count("\n") == 1
