"""The journal of long work: nothing finished is lost, nothing foreign or damaged is taken for its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.errors import UserError
from runtime.journal import Journal

HEADER = {"seed": 1, "model": "m"}


def write(journal: Journal, rank: int, *numbers: int) -> Path:
    with journal.writer(rank) as writer:
        for number in numbers:
            writer.add({"problem": "p", "sample": number, "text": "ä\u2028"})
    return journal.out.with_name(f"{journal.out.name}.journal-{rank}.jsonl")


def samples(journal: Journal) -> list[int]:
    return [row["sample"] for row in journal.rows()]


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "out.jsonl", HEADER)


def test_what_several_ranks_wrote_is_read_together(journal: Journal) -> None:
    write(journal, 0, 0, 2)
    write(journal, 1, 1)
    write(journal, 0, 3)
    assert samples(journal) == [0, 2, 3, 1]
    assert journal.rows()[0] == {"problem": "p", "sample": 0, "text": "ä\u2028"}


def test_every_cut_of_the_last_line_loses_that_line_alone(journal: Journal) -> None:
    path = write(journal, 0, 0, 1)
    whole = path.read_bytes()
    start = whole[:-1].rindex(b"\n") + 1
    for length in range(start, len(whole)):
        path.write_bytes(whole[:length])
        assert samples(journal) == [0]
        write(journal, 0, 1)
        assert path.read_bytes() == whole


def test_a_cut_header_is_written_anew(journal: Journal) -> None:
    path = write(journal, 0)
    path.write_bytes(path.read_bytes()[:5])
    assert journal.rows() == []
    write(journal, 0, 0)
    assert samples(journal) == [0]


def test_the_journal_of_other_work_is_refused_with_the_difference(journal: Journal) -> None:
    write(journal, 0, 0)
    with pytest.raises(UserError, match=r"other work: seed \(1 there, 2 now\)"):
        Journal(journal.out, {**HEADER, "seed": 2}).rows()


def test_a_damaged_line_is_named(journal: Journal) -> None:
    path = write(journal, 0, 0)
    path.write_bytes(path.read_bytes() + b"oops\n")
    with pytest.raises(UserError, match=r"journal-0.jsonl:3: damaged"):
        journal.rows()


def test_two_processes_cannot_add_to_one_journal(journal: Journal) -> None:
    with journal.writer(0), pytest.raises(UserError, match="another process"), journal.writer(0):
        pass


def test_a_journal_that_is_being_written_is_not_cut(journal: Journal) -> None:
    with journal.writer(0) as writer:
        writer.add({"problem": "p", "sample": 0})
        with pytest.raises(UserError, match="another process"):
            journal.rows()


def test_a_name_with_brackets_finds_its_own_files_only(tmp_path: Path) -> None:
    write(Journal(tmp_path / "a.jsonl", HEADER), 0, 0)
    assert Journal(tmp_path / "[a].jsonl", HEADER).rows() == []
