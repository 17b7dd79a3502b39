"""Progress of long work: bars on a terminal, an occasional plain line elsewhere.

    with progress("sweep of the pruned model on math", len(requests), "thoughts") as work:
        for request in requests:
            ...
            work.advance()

Tokens are counted by `runtime.pulse.beat`, which also signals that the process is alive. They belong to the innermost
open work, so code that decodes or measures need not know about progress. Everything is shown on standard error:
standard output is for a command's results. Only the first rank shows anything. No thread draws: a process that is
forked meanwhile could inherit its lock.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Any, Protocol, TextIO, TypeVar

from recipes.terminal import PlainStream, plain
from runtime.pulse import PULSE

FRAME_SECONDS = 0.25
WIDE = 100
"""terminals of at least so many columns have room for a bar next to its text"""
LINE_SECONDS = 30.0
LINE_SHARE = 0.05
"""a line is due after so many seconds, later after this share of the time that the work has taken so far"""

Piece = TypeVar("Piece")


class Work:
    """Work in progress: `done` of `total` pieces (None: not known); `unit` names the pieces.

    first: pieces that were done before it began, such as by an interrupted run; they do not count for its speed. note:
    another current value, such as a loss, shown in place of tokens/s.
    """

    def __init__(self, title: str, total: int | None, unit: str, first: int = 0) -> None:
        self.title, self.total, self.unit, self.first = plain(title), total, unit, first
        self.done, self.tokens, self.note = first, 0, ""
        self.began = time.monotonic()

    def advance(self, pieces: int = 1) -> None:
        """Counts pieces that are done."""
        self.done += pieces
        WATCHED.shown.show(self)

    def reach(self, stage: str) -> None:
        """Begins the next stage of work whose pieces are stages; the one before is done."""
        self.done, self.note = self.done + bool(self.note), stage
        WATCHED.shown.show(self)

    def told(self, now: float) -> str:
        """Such as `12 of 50 thoughts (24 %), 812 tokens/s, 1:35 left`; unknown parts are left out."""
        seconds = now - self.began
        parts = [f"{self.done:,} {self.unit}"]
        if self.total:
            share = min(self.done / self.total, 1.0)
            parts = [f"{self.done:,} of {self.total:,} {self.unit} ({share:.0%})"]
        if self.note:
            parts.append(plain(self.note))
        elif self.tokens and seconds > 0:
            parts.append(f"{self.tokens / seconds:,.0f} tokens/s")
        return ", ".join([*parts, self.left(now)])

    def left(self, now: float) -> str:
        """`1:35 left`, or `0:20 so far` if the total is not known."""
        seconds, done = now - self.began, self.done - self.first
        if self.total and done > 0:
            return f"{clock(max(self.total - self.done, 0) * seconds / done)} left"
        return f"{clock(seconds)} so far"


def clock(seconds: float) -> str:
    """`1:35`, or `2:01:35` from an hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Shown(Protocol):
    """Where work is shown, from the beginning of the outermost piece to its end."""

    def open(self, work: Work) -> None: ...

    def show(self, work: Work) -> None:
        """May be called at every change; it limits how often it draws."""

    def close(self, work: Work) -> None: ...


class Nowhere:
    """On other ranks."""

    def open(self, work: Work) -> None: ...

    def show(self, work: Work) -> None: ...

    def close(self, work: Work) -> None: ...


class Lines:
    """One plain line per piece of work after half a minute, then at growing intervals; none for shorter work."""

    def __init__(self, stream: TextIO, now: Callable[[], float] = time.monotonic) -> None:
        self.stream, self.now = stream, now
        self.said: dict[Work, float] = {}

    def open(self, work: Work) -> None:
        self.said[work] = self.now()

    def show(self, work: Work) -> None:
        now, said = self.now(), self.said.get(work)  # None: another thread has just closed it
        if said is not None and now - said >= LINE_SECONDS + LINE_SHARE * (now - work.began):
            self.said[work] = now
            with suppress(OSError):  # a full disk or a closed pipe: progress must never stop the work
                self.stream.write(f"{work.title}: {work.told(now)}\n")
                self.stream.flush()

    def close(self, work: Work) -> None:
        del self.said[work]


class Bars:
    """One bar per piece of work, below what the command prints and removed at its end. `stream` is a terminal."""

    def __init__(self, stream: TextIO, now: Callable[[], float] = time.monotonic) -> None:
        from rich.console import Console  # not needed without a terminal
        from rich.progress import BarColumn, Progress, TextColumn

        self.now, self.drawn = now, 0.0
        self.console = Console(file=stream, highlight=False, markup=False, emoji=False)
        # Columns are as wide as their widest title. Without a bar between them, that padding would only push the time
        # left off a narrow terminal: one column.
        title, told = (TextColumn(text, markup=False) for text in ("{task.description}", "{task.fields[told]}"))
        both = TextColumn("{task.description} {task.fields[told]}", markup=False)
        columns = (title, BarColumn(bar_width=24), told) if self.console.width >= WIDE else (both,)
        self.bars = Progress(*columns, console=self.console, auto_refresh=False)
        self.live: Any = None
        self.tasks: dict[Work, Any] = {}
        self.before: tuple[TextIO, TextIO] | None = None

    def open(self, work: Work) -> None:
        told = work.told(self.now())
        self.tasks[work] = self.bars.add_task(work.title, total=work.total, completed=work.done, told=told)
        if self.before is None:
            self.before = sys.stdout, sys.stderr
            # Output that goes to a file must not appear on the terminal.
            sys.stdout, sys.stderr = (self._above(stream) for stream in self.before)
            self.draw()
        else:
            self.live.refresh()

    def _above(self, stream: TextIO) -> Any:
        return Above(stream, self) if stream.isatty() else stream

    def show(self, work: Work) -> None:
        now, task = self.now(), self.tasks.get(work)
        if task is not None and now - self.drawn >= FRAME_SECONDS:
            self.drawn = now
            self.bars.update(task, completed=work.done, told=work.told(now))
            self.live.refresh()

    def close(self, work: Work) -> None:
        self.bars.remove_task(self.tasks.pop(work))
        if self.tasks or self.before is None:
            return
        self.hide()
        above, (sys.stdout, sys.stderr) = (sys.stdout, sys.stderr), self.before
        for stream in above:
            if isinstance(stream, Above):
                stream.end()

    def draw(self) -> None:
        """Draws the bars below what was printed last. The cursor stays visible: a killed process could not restore
        it."""
        from rich.live import Live

        # A new one each time: a reused one would move up over the lines that it drew before it was hidden. It redirects
        # nothing, since `Above` does that; rich would interpret colours in models' text.
        self.live = Live(
            console=self.console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            get_renderable=self.bars.get_renderable,
        )
        self.live.start(refresh=True)
        self.console.show_cursor(True)

    def hide(self) -> None:
        """Removes the bars."""
        self.live.stop()


class Above:
    """A terminal's stream whose lines appear above the bars, which are redrawn below them.

    They are written to the stream itself, so that others which record or clean printed text see them (W&B,
    `recipes.terminal.PlainStream`).
    """

    def __init__(self, stream: TextIO, bars: Bars) -> None:
        self._stream, self._bars, self._rest, self._process = stream, bars, "", os.getpid()

    def write(self, text: str) -> int:
        if os.getpid() != self._process:  # a forked process has no bars, and must not wait for their lock
            return self._stream.write(text)
        lines, end, self._rest = (self._rest + text).rpartition("\n")
        if end:
            self._bars.hide()
            self._stream.write(lines + end)
            self._stream.flush()
            self._bars.draw()
        return len(text)

    def end(self) -> None:
        """Writes the incomplete last line, once the bars are gone."""
        self._stream.write(self._rest)
        self._rest = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Watched:
    """The open work of this process, outermost first, and where it is shown."""

    def __init__(self) -> None:
        self.works: list[Work] = []
        self.shown: Shown = Nowhere()
        self.lock = Lock()

    def hear(self, tokens: int) -> None:
        """Called at each beat of the pulse."""
        for work in self.works[-1:]:
            work.tokens += tokens
            self.shown.show(work)


WATCHED = Watched()
"""of this process, as its pulse and its terminal are"""


def where() -> Shown:
    """Nothing except on the first rank, bars on a terminal, else lines."""
    if os.environ.get("RANK", "0") != "0":
        return Nowhere()
    if is_terminal(sys.stderr):
        return Bars(sys.stderr.below if isinstance(sys.stderr, PlainStream) else sys.stderr)
    return Lines(sys.stderr)


def is_terminal(stream: TextIO) -> bool:
    """Whether a bar can be drawn there."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


@contextmanager
def progress(title: str, total: int | None, unit: str, first: int = 0) -> Iterator[Work]:
    """Shows a piece of work while the context lasts; see `Work`. Inside another one it has a bar of its own below."""
    work = Work(title, total, unit, first)
    with WATCHED.lock:  # two threads that both begin the first work would show it in two places
        if not WATCHED.works:
            WATCHED.shown, PULSE.heard = where(), WATCHED.hear
        WATCHED.works.append(work)
        WATCHED.shown.open(work)
    try:
        yield work
    finally:
        with WATCHED.lock:
            WATCHED.works.remove(work)
            WATCHED.shown.close(work)


def counted(pieces: Iterable[Piece], title: str, total: int | None, unit: str) -> Iterator[Piece]:
    """The pieces, each counted when the next one is asked for."""
    with progress(title, total, unit) as work:
        for piece in pieces:
            yield piece
            work.advance()
