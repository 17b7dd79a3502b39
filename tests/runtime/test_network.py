"""Limits on waiting, and what is said of a server that does not answer."""

from __future__ import annotations

from threading import Event

import pytest

from runtime.network import silence, within
from tests.eval.endpoints import endpoint
from tests.runtime.servers import CLOSED, silent_server


def test_what_is_done_in_time_comes_back() -> None:
    assert within(5, lambda: 2 + 2) == 4


def test_a_fault_of_the_work_comes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 // 0)


def test_a_limit_of_the_work_itself_keeps_its_words() -> None:
    def give_up() -> None:
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="^mine$"):
        within(5, give_up)


def test_work_without_an_end_is_given_up() -> None:
    end = Event()
    with pytest.raises(TimeoutError, match=r"^no answer within 0\.02 s$"):
        within(0.02, end.wait)
    end.set()


def test_any_answer_is_an_answer() -> None:
    with endpoint(lambda body: (200, "")) as (url, _):  # which knows POST alone: to this request it says 501
        assert silence(url, 5) == ""


def test_a_server_that_takes_the_connection_and_says_nothing_is_silent() -> None:
    with silent_server() as address:
        assert silence(address, 0.05) == "no answer within 0.05 s"


@pytest.mark.parametrize(("address", "why"), [(CLOSED, "ConnectError: "), ("nowhere", "UnsupportedProtocol: ")])
def test_what_cannot_be_reached_is_silent_at_once(address: str, why: str) -> None:
    assert silence(address, 5).startswith(why)
