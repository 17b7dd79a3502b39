"""What a terminal is shown: no control character comes through, and no encoding stops a command."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

from recipes.paths import ROOT
from recipes.terminal import PlainStream, painted_output, plain, plain_streams


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b]52;c;YQ==\x07", "\\x1b[2J\\x1b]52;c;YQ==\\x07"),
        ("a\x9bm\x7f\x00\x08", "a\\x9bm\\x7f\\x00\\x08"),
        ("\u202egnp.exe\u2066\u2028", "\\u202egnp.exe\\u2066\\u2028"),
        ("tab\there\nend", "tab\there\nend"),
        ("数 é é 👩‍👩 ½", "数 é é 👩‍👩 ½"),
    ],
)
def test_control_characters_are_written_out_and_text_is_not(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_a_return_overwrites_no_line_of_output_and_moves_a_bar() -> None:
    out, bars = io.StringIO(), io.StringIO()
    PlainStream(out).write("a\rb")
    PlainStream(bars, "\r").write("a\rb\x1b[A")
    assert (out.getvalue(), bars.getvalue()) == ("a\\rb", "a\rb\\x1b[A")


def test_an_encoding_that_cannot_write_a_letter_writes_it_out() -> None:
    out, err = (io.TextIOWrapper(io.BytesIO(), "ascii") for _ in range(2))
    with plain_streams(out, err):
        print("½ \x1b", flush=True)
        print("½", file=sys.stderr, flush=True)
    assert (out.buffer.getvalue(), err.buffer.getvalue()) == (b"\\xbd \\x1b\n", b"\\xbd\n")  # type: ignore[attr-defined]


def test_colours_of_our_own_go_to_the_stream_itself() -> None:
    out = io.TextIOWrapper(io.BytesIO(), "utf-8")
    with plain_streams(out, sys.stderr):
        print("\x1b[32m", file=painted_output(), flush=True)
    assert out.buffer.getvalue() == b"\x1b[32m\n"  # type: ignore[attr-defined]


def test_a_command_speaks_to_a_pipe_of_ascii_alone() -> None:
    code = "from recipes.command import run\nrun(lambda arguments: print('\u00bd \x1b[31m'))"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"\\xbd \\x1b[31m\n", b"")
