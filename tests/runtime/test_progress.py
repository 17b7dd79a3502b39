"""What is shown of long work: on a terminal, elsewhere, and on other ranks."""

from __future__ import annotations

import io
import re
import sys
import threading
from contextlib import suppress
from typing import Any

import pytest

import runtime.progress
from recipes.terminal import PlainStream
from runtime.progress import LINE_SECONDS, WATCHED, Bars, Lines, Nowhere, Work, clock, counted, progress, where
from runtime.pulse import beat


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def every_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has a line written at every piece of work and at every beat."""
    monkeypatch.setattr(runtime.progress, "LINE_SECONDS", 0.0)
    monkeypatch.setattr(runtime.progress, "LINE_SHARE", 0.0)


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Makes standard output and error one terminal; in the test itself, as pytest changes them before."""
    stream = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def shown(text: str) -> list[str]:
    """The lines that a terminal has been sent, without its escape sequences."""
    return [line for line in re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)) if line.strip()]


def screen(text: str) -> list[str]:
    """What a terminal shows in the end: rows that are written over, erased (K) and gone back to (A)."""
    rows, row, column = [""], 0, 0
    for count, kind, sign in re.findall(r"\x1b\[([0-9;?]*)([A-Za-z])|(.)", text, re.DOTALL):
        if kind == "A":
            row -= int(count or 1)
        elif kind == "K":
            rows[row] = ""
        elif sign == "\r":
            column = 0
        elif sign == "\n":
            row, column = row + 1, 0
            rows += [""] * (row + 1 - len(rows))
        elif sign:
            rows[row], column = rows[row][:column].ljust(column) + sign + rows[row][column + 1 :], column + 1
    return [line.rstrip() for line in rows if line.strip()]


def at(work: Work, seconds: float) -> str:
    return work.told(work.began + seconds)


def test_pieces_share_speed_and_time_left() -> None:
    work = Work("sweep", 50, "thoughts")
    work.done, work.tokens = 12, 8000
    assert at(work, 20.0) == "12 of 50 thoughts (24%), 400 tokens/s, 1:03 left"  # 38 pieces at 20 / 12 s


def test_what_was_done_before_says_nothing_about_the_speed() -> None:
    work = Work("train", 120, "steps", first=60)
    work.done = 90
    assert at(work, 10.0) == "90 of 120 steps (75%), 0:10 left"


def test_without_a_total_there_is_no_time_left() -> None:
    work = Work("read", None, "traces")
    work.done = 7000
    assert at(work, 65.0) == "7,000 traces, 1:05 so far"


def test_a_note_stands_in_place_of_the_tokens() -> None:
    work = Work("train", 4, "steps")
    work.done, work.tokens, work.note = 1, 100, "loss 1.5"
    assert at(work, 1.0) == "1 of 4 steps (25%), loss 1.5, 0:03 left"


def test_a_stage_begins_when_the_one_before_is_done() -> None:
    with progress("export", 3, "stages") as work:
        work.reach("loading")
        assert at(work, 5.0) == "0 of 3 stages (0%), loading, 0:05 so far"
        work.reach("merging")
        assert at(work, 5.0) == "1 of 3 stages (33%), merging, 0:10 left"


def test_a_log_that_cannot_be_written_stops_no_work() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    work = Work("sweep", 50, "thoughts")
    lines = Lines(Full(), lambda: work.began + 100)
    lines.open(work)
    lines.said[work] = work.began
    lines.show(work)
    assert lines.said[work] == work.began + 100


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0:00"), (95, "1:35"), (3600, "1:00:00"), (90061, "25:01:01")])
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_lines_come_after_half_a_minute_and_then_now_and_then() -> None:
    out, work = io.StringIO(), Work("sweep of\x1b[2J math", 50, "thoughts")
    now = [work.began]
    lines = Lines(out, lambda: now[0])
    lines.open(work)
    for second in range(0, 121):
        now[0] = work.began + second
        work.done = second // 10
        lines.show(work)
    # after 30 + 5 % of the time so far: at 32, 32 + 34 = 66, 66 + 36 = 102
    assert out.getvalue().splitlines() == [
        r"sweep of\x1b[2J math: 3 of 50 thoughts (6%), 8:21 left",
        r"sweep of\x1b[2J math: 6 of 50 thoughts (12%), 8:04 left",
        r"sweep of\x1b[2J math: 10 of 50 thoughts (20%), 6:48 left",
    ]


def test_short_work_writes_nothing_where_there_is_no_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    for _ in counted(range(3), "count", 3, "pieces"):
        beat(10)
    assert capfd.readouterr() == ("", "")
    assert LINE_SECONDS >= 30


def test_tokens_belong_to_the_innermost_work() -> None:
    with progress("outer", 2, "steps") as outer:
        beat(5)
        with progress("inner", 2, "thoughts") as inner:
            beat(7)
        beat(1)
    assert (outer.tokens, inner.tokens, WATCHED.works) == (6, 7, [])


def test_work_that_fails_is_over() -> None:
    with pytest.raises(ValueError), progress("outer", 2, "steps"):
        raise ValueError
    assert WATCHED.works == []


def fail_at_the_first() -> None:
    for _ in counted([1, 2], "count", 2, "pieces"):
        raise ValueError


def test_a_loop_that_fails_is_over() -> None:
    with pytest.raises(ValueError):
        fail_at_the_first()
    assert WATCHED.works == []


def test_threads_that_begin_work_at_once_share_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    places: list[Lines] = []
    both_look, both_work = threading.Barrier(2), threading.Barrier(2)

    def slow_where() -> Lines:
        with suppress(threading.BrokenBarrierError):
            both_look.wait(timeout=0.1)  # only one looks, and nobody comes; two would have met here
        places.append(Lines(io.StringIO()))
        return places[-1]

    monkeypatch.setattr(runtime.progress, "where", slow_where)
    outcomes: list[object] = []

    def work() -> None:
        try:
            with progress("work", 1, "pieces") as mine:
                both_work.wait(timeout=10)
                mine.advance()
            outcomes.append("done")
        except Exception as fault:
            outcomes.append(fault)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert (outcomes, len(places), WATCHED.works) == (["done", "done"], 1, [])


def test_a_work_that_another_thread_has_ended_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    every_line(monkeypatch)
    stream = io.StringIO()
    Lines(stream, lambda: 1e9).show(Work("ended", 1, "pieces"))
    Bars(on_terminal(monkeypatch)).show(Work("ended", 1, "pieces"))
    assert stream.getvalue() == ""


def test_a_terminal_is_shown_a_bar_with_lines_above_it_and_gets_its_streams_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = on_terminal(monkeypatch)
    clean: Any = PlainStream(terminal)
    monkeypatch.setattr(sys, "stdout", clean)
    with progress("sweep of a [b]suite\x1b]0;x\x07", 4, "thoughts") as work:
        work.advance(2)
        print("step 5:\x1b[31m red")
        print("no end", end="")
    assert sys.stdout is clean and sys.stderr is terminal
    lines = shown(terminal.getvalue())
    assert lines[0].startswith(r"sweep of a [b]suite\x1b]0;x\x07") and "0 of 4 thoughts (0%)" in lines[0]
    assert "step 5:\\x1b[31m red" in lines and "\x1b[31m" not in terminal.getvalue()
    assert lines[-1] == "no end"


def test_what_is_printed_goes_through_the_stream_that_others_keep(monkeypatch: pytest.MonkeyPatch) -> None:
    """W&B keeps the console by a `write` of its own."""
    terminal, kept = on_terminal(monkeypatch), list[str]()
    monkeypatch.setattr(terminal, "write", lambda text: kept.append(text) or io.StringIO.write(terminal, text))
    with progress("sweep", 4, "thoughts"):
        print("a line", "of two parts")
    assert "a line of two parts\n" in kept


def test_work_inside_other_work_has_a_bar_below_it(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    with progress("outer", 2, "steps"), progress("inner", 3, "thoughts"):
        pass
    names = [line.split()[0] for line in shown(terminal.getvalue())]
    assert names[names.index("inner") - 1] == "outer"


def test_a_narrow_terminal_pads_no_title_to_that_of_the_work_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    monkeypatch.setenv("COLUMNS", "60")
    with progress("outer", 2, "steps"), progress("a title that is much longer", 3, "thoughts"):
        pass
    last = [line for line in shown(terminal.getvalue()) if line.startswith("outer")][-1]
    assert last.rstrip() == "outer 0 of 2 steps (0%), 0:00 so far"


def test_only_what_was_printed_is_left_on_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    with progress("outer", 2, "steps"):
        print("one")
        with progress("inner", 3, "thoughts"):
            print("two\nthree", file=sys.stderr)
        print("four")
        assert screen(terminal.getvalue())[:4] == ["one", "two", "three", "four"]
        assert screen(terminal.getvalue())[4].startswith("outer")
    assert screen(terminal.getvalue()) == ["one", "two", "three", "four"]


def test_what_goes_to_a_file_does_not_come_to_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, file = on_terminal(monkeypatch), io.StringIO()
    monkeypatch.setattr(sys, "stdout", file)
    with progress("sweep", 4, "thoughts"):
        print("a table")
    assert file.getvalue() == "a table\n" and "a table" not in terminal.getvalue()


@pytest.mark.parametrize(
    ("rank", "term", "kind"), [("0", "xterm", Bars), ("0", "dumb", Lines), ("1", "xterm", Nowhere)]
)
def test_where_work_is_shown(rank: str, term: str, kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    on_terminal(monkeypatch)
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("TERM", term)
    assert isinstance(where(), kind)
