"""The grammar and the exit codes that every command shares."""

from __future__ import annotations

import errno
import os
import select
import sys
from collections.abc import Callable, Collection, Sequence
from typing import NoReturn, TextIO

from pydantic import BaseModel

from recipes.errors import UserError
from recipes.help import HelpAsked, asks_for_help, help_text
from recipes.names import closest
from recipes.terminal import plain_streams

FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
OUT_OF_MEMORY = ("can't allocate memory", "Cannot allocate memory", "not enough memory", "std::bad_alloc")
"""what torch, the system and C++ write in a RuntimeError when memory is exhausted"""
DONE, FAILED, USER_MISTAKE, INTERRUPTED = 0, 1, 2, 130


def split(
    arguments: Sequence[str],
    own: dict[str, str],
    schema: type[BaseModel] | None = None,
) -> tuple[dict[str, str], list[str]]:
    """The command's own `key=text` arguments, and all others in their order (recipe keys, file names).

    `own` maps each key of the command to its meaning. A key that is not given is absent; `key=` gives "".
    Raises UserError if an own key is given twice or misspelt, HelpAsked (own keys, then `schema`'s) on --help, -h or
    help.
    """
    if asks_for_help(arguments):
        keys = "".join(f"{key}=...: {meaning}\n" for key, meaning in own.items())
        raise HelpAsked("\n".join(part for part in (keys, help_text(schema) if schema else "") if part))
    texts: dict[str, str] = {}
    rest: list[str] = []
    for argument in arguments:
        key, equals, text = argument.partition("=")
        if not equals or key not in own:
            if equals:
                _check_spelling(key, own, schema)
            rest.append(argument)
        elif key in texts:
            raise UserError(f"{key}={text}: given twice (first as {texts[key]}); write it once")
        else:
            texts[key] = text
    return texts, rest


def _check_spelling(key: str, own: Collection[str], schema: type[BaseModel] | None) -> None:
    """UserError if an argument nearly matches a key of the command and is not a section of its recipe."""
    known = {*own, "recipe", *(schema.model_fields if schema else ())}
    like = closest(key, known, cutoff=0.8) if schema and key not in known else None
    if like is not None and like in own:
        raise UserError(f"{key}=...: this command has no such key; did you mean {like}?")


def run(main: Callable[[list[str]], int | None]) -> NoReturn:
    """Runs a command on the arguments of the process and exits with its code.

    0 done, 2 the user's mistake (its message on standard error, from rank 0 alone), 130 interrupted, 1 with a line
    if memory or a disk is full; any other exception passes through, with its traceback and exit code 1. Nothing that
    is printed moves a terminal's cursor (`recipes.terminal`).
    """
    with plain_streams(sys.stdout, sys.stderr):
        code = _code_of(main)
    sys.exit(code)


def _code_of(main: Callable[[list[str]], int | None]) -> int:
    try:
        code = main(sys.argv[1:]) or DONE
        sys.stdout.flush()
    except HelpAsked as asked:
        code = _say(str(asked), sys.stdout, DONE)
    except UserError as mistake:
        code = _say(str(mistake), sys.stderr, USER_MISTAKE)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        if not _reader_has_gone():
            raise
        code = _silence(FAILED)
    except (OSError, MemoryError, RuntimeError) as fault:
        said = no_room(fault)
        if said is None:
            raise
        code = _say(said, sys.stderr, FAILED)
    return code


def no_room(fault: BaseException) -> str | None:
    """The message for an error caused by a lack of memory or disk space; None for any other error."""
    said = (str(fault).strip() or type(fault).__name__).splitlines()[0][:300]
    if isinstance(fault, OSError):
        if fault.errno in FULL_DISK:
            return f"cannot be written: {said}; make room, and start the same command again"
        return f"not enough main memory: {said}" if fault.errno == errno.ENOMEM else None
    if isinstance(fault, MemoryError) or any(words in said for words in OUT_OF_MEMORY):
        return f"not enough main memory: {said}"
    return None


def _say(text: str, stream: TextIO, code: int) -> int:
    """Prints from rank 0 alone; a reader that has closed the pipe (`| head`) is not an error."""
    if os.environ.get("RANK", "0") != "0":
        return code
    try:
        print(text.rstrip("\n"), file=stream, flush=True)
    except BrokenPipeError:
        return _silence(code)
    return code


def _reader_has_gone() -> bool:
    """Whether standard output is a pipe whose reader has closed it."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _silence(code: int) -> int:
    """Discards what is still buffered for standard output, so that Python does not complain at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code
