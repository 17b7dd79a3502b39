"""`python -m data_prep decontaminate`: the two files, what is printed, and the mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_prep.__main__ import main
from recipes.errors import UserError


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """A suite of two problems and three traces, of which the second overlaps with the first problem."""
    rows = {
        "suite.jsonl": [
            {"id": "p", "problem": "Add one to two and three now", "answer": "6"},
            {"id": "q", "problem": "Name the capital of France in one word", "answer": "Paris"},
        ],
        "traces.jsonl": [
            {"id": f"t{i}", "question": question, "thinking": "hm", "answer": "6"}
            for i, question in enumerate(["Who?", "Please add one to two and three now", "Where?"])
        ],
    }
    for name, content in rows.items():
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in content), encoding="utf-8")
    return [
        f"traces={tmp_path / 'traces.jsonl'}",
        f"suite={tmp_path / 'suite.jsonl'}",
        f"out={tmp_path / 'out.jsonl'}",
        "n=4",
        "shared=1",
    ]


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_kept_traces_and_overlaps_are_written(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["decontaminate", *files])
    assert lines(tmp_path / "out.jsonl") == [
        {"id": name, "question": question, "thinking": "hm", "answer": "6"}
        for name, question in (("t0", "Who?"), ("t2", "Where?"))
    ]
    assert lines(tmp_path / "out.jsonl.overlaps.jsonl") == [
        {
            "trace": "t1",
            "suite": "suite",
            "problem": "p",
            "shared": 4,
            "runs": 4,
            "example": "add one to two",
            "coverage": 1.0,
        }
    ]
    assert "3 traces, 1 overlap with 1 problems, 2 kept" in capsys.readouterr().out


def test_where_no_trace_is_left_no_empty_file_is_written(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = (tmp_path / "traces.jsonl").read_text(encoding="utf-8").splitlines()[1]
    (tmp_path / "traces.jsonl").write_text(row + "\n", encoding="utf-8")
    main(["decontaminate", *files])
    assert not (tmp_path / "out.jsonl").exists() and len(lines(tmp_path / "out.jsonl.overlaps.jsonl")) == 1
    assert "kept nothing, so no file" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.overlaps.jsonl"])
def test_no_file_is_overwritten(files: list[str], tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match="exists already"):
        main(["decontaminate", *files])
    assert (tmp_path / name).read_text(encoding="utf-8") == "mine"


def test_a_broken_row_is_named_without_a_key_that_the_command_lacks(files: list[str], tmp_path: Path) -> None:
    (tmp_path / "traces.jsonl").write_text('{"question": "q", "thinking": 1, "answer": "a"}\n', encoding="utf-8")
    with pytest.raises(UserError, match=r"traces\.jsonl:1: 'thinking' must be text, got int\nfix the rows$"):
        main(["decontaminate", *files])


@pytest.mark.parametrize(
    "rows", ["", '{"problem": "Which?", "choices": ["x", "y"], "answer": "A"}\n{"problem": "1 + 1", "answer": "2"}\n']
)
def test_a_broken_suite_is_named_as_the_command_does(files: list[str], tmp_path: Path, rows: str) -> None:
    (tmp_path / "suite.jsonl").write_text(rows, encoding="utf-8")
    with pytest.raises(UserError, match=r"^suite \(suite\): "):
        main(["decontaminate", *files])


def test_a_benchmark_that_cannot_be_had_is_named_as_the_command_does(
    files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.load_dataset", _no_network)
    with pytest.raises(UserError, match=r"^suite \(math500\): the data set .* cannot be loaded: no network"):
        main(["decontaminate", *files[:1], "suite=math500", *files[2:]])


def _no_network(*arguments: object, **keys: object) -> None:
    raise ConnectionError("no network")


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("n=0", "n=0: must be at least 1"),
        ("coverage=1.5", "coverage=1.5: must be at most 1"),
        ("units=words", "did you mean unit"),
        ("suite=nowhere.jsonl", "known benchmark"),
        ("traces=nowhere.jsonl", "no file at nowhere.jsonl"),
    ],
)
def test_mistakes_are_named(files: list[str], argument: str, said: str, tmp_path: Path) -> None:
    key = argument.partition("=")[0]
    with pytest.raises(UserError, match=said):
        main(["decontaminate", *(each for each in files if not each.startswith(f"{key}=")), argument])
    assert not (tmp_path / "out.jsonl").exists()
