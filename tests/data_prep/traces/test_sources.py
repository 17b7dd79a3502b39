"""Reading traces from a source: what comes, in which order, and what is said of broken rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data_prep.ledger import Ledger
from data_prep.nano_ways import ways_traces
from data_prep.trace import Trace
from data_prep.traces.sources import OnError, read_source
from recipes.errors import UserError
from recipes.traces import FileTraces, HubTraces, JsonlTraces, NanoTraces, WaysTraces
from tests.runtime.hubs import hub_at
from tests.runtime.servers import silent_server

GOOD = {"question": "q", "thinking": "t", "answer": "a"}


def write(folder: Path, *rows: Any) -> Path:
    path = folder / "traces.jsonl"
    path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows))
    return path


def read_all(section: Any, on_error: OnError = "stop", ledger: Ledger | None = None) -> list[Trace]:
    return list(read_source(section, on_error, ledger or Ledger()))


def read(path: Path) -> list[Trace]:
    return read_all(JsonlTraces(source="jsonl", path=path))


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        read(path)
    return str(caught.value)


def chat(**assistant: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", **assistant}]}


def test_question_thinking_answer(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD, "\n", {**GOOD, "id": 7})
    assert read(path) == [Trace(f"{path}:1", "q", "t", "a", str(path)), Trace("7", "q", "t", "a", str(path))]


@pytest.mark.parametrize(
    "message",
    [
        {"content": "a", "reasoning_content": "t\nu"},
        {"content": "a", "thinking": "t\nu"},
        {"content": "a", "thinking": "t\nu", "reasoning_content": None},
        {"content": "<think>\nt\nu\n</think>\n\na"},
        {"content": "<think>t\nu</think>a", "reasoning_content": None},
    ],
    ids=["reasoning_content", "thinking", "other-key-null", "in-content", "in-content-bare"],
)
def test_messages(tmp_path: Path, message: dict[str, Any]) -> None:
    (trace,) = read(write(tmp_path, chat(**message)))
    assert (trace.question, trace.thinking, trace.answer) == ("q", "t\nu", "a")


@pytest.mark.parametrize("row", [{**GOOD, "thinking": ""}, chat(content="<think>\n\n</think>\n\na")])
def test_thinking_may_be_empty(tmp_path: Path, row: dict[str, Any]) -> None:
    assert read(write(tmp_path, row))[0].thinking == ""


def test_thinking_keeps_its_white_space(tmp_path: Path) -> None:
    assert read(write(tmp_path, {**GOOD, "thinking": "  t \n\n"}))[0].thinking == "  t \n\n"


def test_thinking_in_content_loses_one_line_break_on_either_side_and_no_more(tmp_path: Path) -> None:
    assert read(write(tmp_path, chat(content="<think>\n  t \n\n</think>\n\na")))[0].thinking == "  t \n"


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("{not json}\n", "not JSON"),
        ("[1]\n", "a row must be an object, got list"),
        ({"thinking": "t", "answer": "a"}, "nearest: plain lacks 'question'"),
        ({**GOOD, "thinking": None}, "'thinking' must be text, got NoneType"),
        ({**GOOD, "answer": 7}, "'answer' must be text, got int"),
        ({**GOOD, "question": " "}, "'question' is empty"),
        ({"messages": "hello"}, "'messages' must be a list"),
        ({"messages": [{"role": "user", "content": "q"}]}, "one user and one assistant message, got roles ['user']"),
        (chat(content="x<think>t</think>a"), "there is text before"),
    ],
)
def test_a_broken_row_is_named(tmp_path: Path, row: Any, says: str) -> None:
    path = write(tmp_path, GOOD, row)
    message = refusal(path)
    assert message.startswith(f"{path}:2: ")
    assert says in message


def test_text_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "traces.jsonl"
    path.write_bytes(json.dumps(GOOD).encode() + b'\n{"question": "\xff\xfe"}\n')
    assert refusal(path).startswith(f"{path}:2: not JSON ('utf-8' codec can't decode")


def test_several_faults_are_told_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, "x\n", GOOD, "y\n")
    *faults, remedy = refusal(path).splitlines()
    assert [line.split(": ")[0] for line in faults] == [f"{path}:1", f"{path}:3"]
    assert remedy == "fix the rows, or skip and count such rows with data.on_error=skip"


def test_many_faults_are_counted(tmp_path: Path) -> None:
    lines = refusal(write(tmp_path, GOOD, *["x\n"] * 12)).splitlines()
    assert len(lines) == 7
    assert lines[-2] == "… and 7 more"


def test_the_faults_of_a_long_file_are_counted_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data_prep.traces.sources.LOOKED_AT", 10)
    assert refusal(write(tmp_path, *["x\n"] * 30)).splitlines()[-2] == "… and 6 more among the next 10 rows"


def test_traces_before_a_broken_row_come_before_the_mistake(tmp_path: Path) -> None:
    stream = read_source(JsonlTraces(source="jsonl", path=write(tmp_path, GOOD, "x\n")), "stop", Ledger())
    assert next(stream).question == "q"
    with pytest.raises(UserError):
        next(stream)


def test_broken_rows_may_be_skipped_and_are_counted_and_named(tmp_path: Path) -> None:
    path, ledger = write(tmp_path, GOOD, "x\n", {**GOOD, "answer": 7}, GOOD), Ledger()
    assert len(read_all(JsonlTraces(source="jsonl", path=path), "skip", ledger)) == 2
    assert (ledger.read, ledger.lost) == (4, {"broken row": 2})
    assert [entry.split(": ")[0] for entry in ledger.named["broken row"]] == [f"{path}:2", f"{path}:3"]


def test_a_long_fault_is_cut(tmp_path: Path) -> None:
    ledger = Ledger()
    path = write(tmp_path, {f"column{number:030}": 1 for number in range(1000)})
    read_all(JsonlTraces(source="jsonl", path=path), "skip", ledger)
    assert len(ledger.named["broken row"][0]) < len(str(path)) + 420


@pytest.mark.parametrize("name", ["traces.txt", "traces", "traces.xlsx.gz"])
def test_a_suffix_that_says_nothing_is_refused_with_those_that_do(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("")
    with pytest.raises(UserError, match=r"unknown suffix .*known: \.jsonl, .*source=jsonl reads"):
        read_all(FileTraces(source="file", path=tmp_path / name))


def test_what_is_not_read_in_a_folder_is_told(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    (tmp_path / "README.md").write_text("about")
    (tmp_path / "test").mkdir()
    ledger = Ledger()
    assert len(read_all(FileTraces(source="file", path=tmp_path), ledger=ledger)) == 1
    assert ledger.notes == [f"data.traces.path: not read in {tmp_path}: README.md, test"]


def test_missing_file(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.jsonl") == f"data.traces.path: no file at {tmp_path / 'none.jsonl'}"


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_file_without_a_trace(tmp_path: Path, text: str) -> None:
    assert "it contains no traces" in refusal(write(tmp_path, text))


def test_nano_traces_follow_the_section() -> None:
    traces = read_all(NanoTraces(source="nano", size=30, shares={"chain": 1.0}, max_operations=3))
    assert len(traces) == 30
    assert {len(trace.thinking.split()) // 4 for trace in traces} == {2, 3}


def test_ways_traces_follow_the_section() -> None:
    traces = read_all(WaysTraces(source="ways", size=30, seed=2, way="foreign_order", answers="right"))
    assert traces == ways_traces("foreign_order", "right", 30, seed=2)


@pytest.fixture
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.mark.usefixtures("no_cache")
def test_a_data_set_with_other_column_names(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    write(folder, {"prompt": "q", "thinking": "t", "answer": "a"})
    section = HubTraces(source="hub", id=str(folder), columns={"question": "prompt"})
    assert read_all(section) == [Trace(f"{folder}[train]:0", "q", "t", "a", f"{folder}[train]")]


@pytest.mark.usefixtures("no_cache")
def test_a_data_set_of_messages_with_keys_that_only_some_rows_use(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    write(folder, chat(content="a", reasoning_content="t"), chat(content="b", thinking="u"))
    traces = read_all(HubTraces(source="hub", id=str(folder)))
    assert [(t.thinking, t.answer) for t in traces] == [("t", "a"), ("u", "b")]


def test_a_hub_data_set_that_cannot_be_had_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*where: object, split: str) -> None:
        raise ConnectionError("no network")

    monkeypatch.setattr("datasets.load_dataset", refuse)
    with pytest.raises(UserError, match=r"data\.traces\.id: the data set owner/name \(split train\) cannot be loaded"):
        read_all(HubTraces(source="hub", id="owner/name"))


@pytest.mark.usefixtures("no_cache")
def test_a_data_set_of_a_silent_hub_is_refused_at_once(tmp_path: Path) -> None:
    with (
        silent_server() as address,
        hub_at(address, tmp_path),
        pytest.raises(
            UserError, match=r"^data\.traces\.id: the data set owner/name \(split train\) cannot be loaded: "
        ),
    ):
        read_all(HubTraces(source="hub", id="owner/name"))


def test_a_hub_data_set_that_breaks_off_is_named_with_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def rows(*where: object, split: str, streaming: bool) -> Iterator[dict[str, str]]:
        yield from [GOOD, GOOD]
        raise ConnectionError("gone")

    monkeypatch.setattr("datasets.load_dataset", rows)
    with pytest.raises(UserError, match=r"the data set owner/name \(split train\) cannot be loaded after row 1: gone"):
        read_all(HubTraces(source="hub", id="owner/name", access="stream"))


@pytest.mark.usefixtures("no_cache")
def test_a_data_set_is_read_row_by_row(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    write(folder, GOOD, {**GOOD, "answer": "b"})
    traces = read_all(HubTraces(source="hub", id=str(folder), access="stream"))
    assert [trace.answer for trace in traces] == ["a", "b"]


def test_columns_of_a_hub_data_set_are_renamed(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"question": "q", "trajectory": "t", "attempt": "a"}]
    monkeypatch.setattr("datasets.load_dataset", lambda *where, split: rows)
    columns = {"thinking": "trajectory", "answer": "attempt"}
    (trace,) = read_all(HubTraces(source="hub", id="owner/name", columns=columns))
    assert (trace.question, trace.thinking, trace.answer) == ("q", "t", "a")
