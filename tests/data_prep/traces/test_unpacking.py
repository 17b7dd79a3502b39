"""What a file may unpack to: 200 times its size or 16 MiB, and the refusal names file, sizes and key."""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pytest

from data_prep.traces import unpacking
from data_prep.traces.rows import file_rows, jsonl_rows
from data_prep.traces.unpacking import ROW_BYTES, SPARED_BYTES, Meter
from recipes.errors import UserError

MIB = 2**20


def zst(content: bytes) -> bytes:
    return bytes(pyarrow.compress(content, codec="zstd", asbytes=True))


BOMBS: dict[str, tuple[Callable[[bytes], bytes], bytes]] = {
    "line.jsonl.gz": (gzip.compress, b" " * 40 * MIB),
    "rows.jsonl.gz": (gzip.compress, b"{}\n" * MIB),
    "blanks.jsonl.gz": (gzip.compress, b"\n" * MIB),
    "members.jsonl.gz": (lambda content: gzip.compress(content) * 40, b" " * MIB),
    "cell.csv.gz": (gzip.compress, b"a" * 40 * MIB),
    "rows.csv.gz": (gzip.compress, b"a,b\n" * MIB),
    "list.json.gz": (gzip.compress, b"[" + b"1," * MIB + b"1]"),
    "open.json.gz": (gzip.compress, b"[" + b" " * 40 * MIB),
    "rows.jsonl.bz2": (bz2.compress, b"{}\n" * MIB),
    "rows.jsonl.zst": (zst, b"{}\n" * MIB),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_that_unpacks_without_end_is_refused(name: str, tmp_path: Path) -> None:
    pack, content = BOMBS[name]
    (tmp_path / name).write_bytes(pack(content))
    with pytest.raises(UserError) as refused:
        for _ in file_rows(tmp_path / name, "data.traces.path"):
            pass
    said = str(refused.value)
    assert f"{tmp_path / name} unpacks to " in said and "data.traces.unpack_limit" in said
    assert "16.0 MiB" in said and "200 times" in said


def test_sixteen_mebibytes_may_come_of_any_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'"' + b"a" * (SPARED_BYTES - ROW_BYTES - 3) + b'"\n'))
    ((_, row),) = jsonl_rows(path, "key")
    assert len(row) == SPARED_BYTES - ROW_BYTES - 3


def test_the_limit_is_the_users(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b" " * 20 * MIB + b"\n{}\n"))
    assert [row for _, row in jsonl_rows(path, "key", 1100)] == [{}]  # gzip packs 1,030 times at most


def test_a_file_that_is_not_packed_has_no_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n" * 300_000 + b"{}\n")  # 300,000 rows count 18 MiB
    assert [row for _, row in jsonl_rows(path, "key", 1)] == [{}]


def test_who_has_no_key_is_told_to_unpack(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(b"x")
    with pytest.raises(UserError, match=r"eval.verdict: .*/a.gz unpacks .* if that is intended, unpack it first$"):
        Meter(tmp_path / "a.gz", "eval.verdict").foresee(SPARED_BYTES + 1)


def test_long_reading_shows_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(unpacking, "NEWS_SECONDS", 0.0)
    (tmp_path / "a.jsonl").write_text("{}\n")
    list(jsonl_rows(tmp_path / "a.jsonl", "key"))
    assert f"reading {tmp_path / 'a.jsonl'}: 3 bytes so far" in capsys.readouterr().err
