"""Rows of files: every kind gives the same rows, and what is wrong with a file or a row is named."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from data_prep.traces import rows as rows_module
from data_prep.traces.rows import file_rows
from recipes.errors import UserError
from tests.data_prep.trace_files import KINDS, write_rows

ROWS = [{"question": 'q, "1"', "answer": "a\nb"}, {"question": "f(x) = \u221ax", "answer": ""}]


def read(path: Path) -> list[object]:
    return [row for _, row in file_rows(path, "key")]


def fault(path: Path) -> str:
    """What is wrong with the only row that is broken."""
    (broken,) = [f"{where}: {row}" for where, row in file_rows(path, "key") if isinstance(row, ValueError)]
    return broken


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_gives_the_same_rows(kind: str, tmp_path: Path) -> None:
    assert read(write_rows(tmp_path / f"a{kind}", ROWS)) == ROWS


@pytest.mark.parametrize("kind", [".json", ".parquet", ".arrow", ".feather"])
def test_rows_are_counted_from_one(kind: str, tmp_path: Path) -> None:
    path = write_rows(tmp_path / f"a{kind}", ROWS * 300)
    assert [where for where, _ in file_rows(path, "key")] == [f"{path}:{number}" for number in range(1, 601)]


def test_csv_rows_are_counted_by_line(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.csv", ROWS)
    assert [where for where, _ in file_rows(path, "key")] == [f"{path}:3", f"{path}:4"]


def test_a_folder_gives_its_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write_rows(tmp_path / f"{name}.jsonl", [{"x": name}])
    (tmp_path / "README.md").write_text("about")
    assert read(tmp_path) == [{"x": "a"}, {"x": "b"}]


def test_a_folder_as_datasets_writes_it(tmp_path: Path) -> None:
    from datasets import Dataset

    Dataset.from_list(ROWS).save_to_disk(tmp_path / "set")
    assert read(tmp_path / "set") == ROWS


def test_a_folder_of_two_kinds_is_refused(tmp_path: Path) -> None:
    for kind in (".jsonl", ".parquet"):
        write_rows(tmp_path / f"a{kind}", ROWS)
    with pytest.raises(UserError, match=r"several kinds \(\.jsonl, \.parquet\)"):
        read(tmp_path)


def test_a_folder_without_data_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    with pytest.raises(UserError, match=r"the folder .* has no data file .*; it holds train"):
        read(tmp_path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^key: no file at .*none\.parquet$"):
        read(tmp_path / "none.parquet")


def test_json_lines_under_the_name_of_a_json_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    assert read(tmp_path / "a.json") == ROWS


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    for kind in (".jsonl", ".csv", ".json"):
        path = write_rows(tmp_path / f"a{kind}", [{"x": "1"}])
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
        assert read(path) == [{"x": "1"}]


def test_a_packed_file_of_two_members_is_read_to_the_end(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b'{"x": 1}\n') + gzip.compress(b'{"x": 2}\n'))
    assert read(tmp_path / "a.jsonl.gz") == [{"x": 1}, {"x": 2}]


@pytest.mark.parametrize("kind", [".jsonl.gz", ".jsonl.zst", ".parquet", ".feather"])
def test_a_file_that_is_cut_off_is_refused(kind: str, tmp_path: Path) -> None:
    path = write_rows(tmp_path / f"a{kind}", ROWS * 500)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"^key: .* cannot be read"):
        read(path)


def test_a_json_list_that_breaks_off_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"x": 1},')
    with pytest.raises(UserError, match=r"begins like a JSON list, but is not JSON"):
        read(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"x,y\n1,2,3\n", "a.csv:2: there are more cells than the header has columns; the first extra one is '3'"),
        (b"x,y\n1,\xff\n2,3\n", "a.csv:2: 'y' is not UTF-8 (character 0)"),
        (b"x\n1\n" + b"2" * 10_000_001 + b"\n3\n", "a.csv:3: not CSV (field larger than field limit (10000000))"),
    ],
)
def test_a_broken_row_of_a_csv_file_is_named(content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    assert fault(tmp_path / "a.csv").endswith(says)


def test_a_line_without_end_is_a_fault_of_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "LONGEST_LINE_BYTES", 2**20)
    (tmp_path / "a.jsonl").write_bytes(b'"' + b"x" * 3 * 2**20 + b'"\n{"x": 1}\n')
    assert fault(tmp_path / "a.jsonl").endswith("a.jsonl:1: the line is longer than 1 MiB")
    assert read(tmp_path / "a.jsonl")[1] == {"x": 1}


def test_json_nested_too_deeply_is_a_fault_of_one_row(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"[" * 100_000 + b"\n1\n")
    assert fault(tmp_path / "a.jsonl").endswith("a.jsonl:1: not JSON that can be read (nested too deeply)")
