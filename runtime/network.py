"""Limits on waiting for a network: whether a server answers is found out within seconds, whatever a library would do.

Limits on single reads and connects do not add up to a limit: a name is looked up without one, and each address of a
server is tried in turn. So the whole work gets one limit, in a thread of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

import httpx

T = TypeVar("T")

ANSWER_SECONDS = 10.0
"""longest wait for a server's first answer"""
FAULTS = (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, ImportError)
"""faults of a request; the last two are raised for a proxy whose address or kind httpx cannot use"""


def within(seconds: float, work: Callable[[], T]) -> T:
    """The result of `work`, or its exception; TimeoutError if it takes longer than `seconds`.

    Work that is given up goes on in the background and ends with the process at the latest: call this only for work
    that may end at any point, such as a request.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as fault:  # raised by `result` in the thread that waits
            outcome.set_exception(fault)

    Thread(target=run, name=f"at most {seconds:g} s", daemon=True).start()
    try:
        return outcome.result(timeout=seconds)
    except TimeoutError:
        if outcome.done():  # it is the work's own
            raise
        raise TimeoutError(f"no answer within {seconds:g} s") from None


def silence(address: str, seconds: float) -> str:
    """Why no server answers at `address`, such as https://huggingface.co; "" if one does, whatever it says."""
    try:
        within(seconds, lambda: httpx.head(address, timeout=seconds))
    except (TimeoutError, httpx.TimeoutException):  # httpx has no text for some of its own
        return f"no answer within {seconds:g} s"
    except FAULTS as fault:
        return " ".join(f"{type(fault).__name__}: {fault}".split())[:200]
    return ""
