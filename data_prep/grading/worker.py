"""The process in which a grader may hang, exhaust memory or crash; `data_prep.grading.pool` starts and uses it.

It reads lines [text, gold] and writes lines [correct, extracted, reason], all JSON. Memory is limited, files cannot be
written, and an audit hook refuses processes, sockets and changes to files, because some scorers evaluate a model's text
as Python. That stops accidents; it does not contain code that is written to break out.
"""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

Verify = Callable[[str, str], tuple[bool, str, str]]

IGNORED_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)  # for the run
REFUSED = (
    "os.",
    "shutil.",
    "subprocess.",
    "socket.",
    "ctypes.",
    "pty.",
    "signal.pthread_kill",
    "urllib.",
    "http.",
    "ftplib.",
    "smtplib.",
    "webbrowser.",
    "tempfile.",
    "winreg.",
)
ALLOWED = {"os.listdir", "os.scandir", "os.walk", "os.fwalk", "os.putenv", "os.unsetenv"}


def main(arguments: Sequence[str]) -> None:
    """GRADER SECONDS BYTES: reads answers from standard input until it ends."""
    grader, seconds, limit_bytes = arguments[0], float(arguments[1]), int(arguments[2])
    for number in IGNORED_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    answers, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    verify = load(grader)
    silence = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):  # a library's own input and output must not mix with the protocol
        os.dup2(silence, descriptor)
    _confine(limit_bytes)
    _say(replies, [])
    for line in iter(answers.readline, b""):
        text, gold = json.loads(line)
        signal.alarm(math.ceil(seconds) + 5)  # kills this process if the parent is no longer there to do it
        _say(replies, judged(verify, text, gold))
        signal.alarm(0)


def load(grader: str) -> Verify:
    """The slow function of a grader; its library is imported here, so that no answer is charged for it."""
    if grader == "reasoning_gym":
        from data_prep.grading.gym import score, warm_up

        warm_up()
        return score
    from data_prep.grading.algebra import equal, read
    from data_prep.grading.mathematics import verify_math

    equal(read("x+1"), read("1+x"))  # triggers all imports that a comparison needs
    return verify_math


def judged(verify: Verify, text: str, gold: str) -> tuple[bool, str, str]:
    """The reply to one answer. Any exception that the library raises counts against that answer alone."""
    try:
        correct, extracted, reason = verify(text, gold)
        return bool(correct), str(extracted), reason
    except MemoryError:
        os._exit(1)  # the memory limit is reached: the next answer gets a fresh process
    except BaseException as fault:
        return False, "", f"grader gave up: {type(fault).__name__}"


def _say(replies: Any, reply: Sequence[object]) -> None:
    replies.write((json.dumps(reply) + "\n").encode())
    replies.flush()


def _confine(limit_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open":
        path, mode, flags = (*arguments, None, None)[:3]
        writes = isinstance(mode, str) and any(letter in mode for letter in "wax+")
        if writes or (isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
            raise PermissionError(f"a grader writes no file ({path})")
    elif event.startswith(REFUSED) and event not in ALLOWED:
        raise PermissionError(f"a grader does not call {event}")
