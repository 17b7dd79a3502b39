"""How ranks agree: what one fails with, all end with; who is through first waits in no collective for the others."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from recipes.errors import UserError
from runtime.pulse import ToLeave
from runtime.ranks import ALONE, Ranks, environment_without_ranks, from_every_rank, on_every_rank, on_first_rank
from tests.runtime.threads import COLLECTIVE_SECONDS, failing, together

Agree = Callable[[Ranks, Callable[[], Any]], Any]
ON_EVERY_RANK: list[Agree] = [on_every_rank, from_every_rank]


def test_the_first_ranks_value_is_everyones() -> None:
    assert together(lambda ranks: on_first_rank(ranks, lambda: ranks.rank + 10)) == [10, 10]


def test_every_rank_gets_its_own_value() -> None:
    assert together(lambda ranks: on_every_rank(ranks, lambda: ranks.rank)) == [0, 1]


def test_the_value_of_every_rank_stays_its_own_object() -> None:
    """A tokenizer or a lock is not sent to the other ranks."""
    locks = together(lambda ranks: on_every_rank(ranks, threading.Lock))
    assert all(isinstance(lock, type(threading.Lock())) for lock in locks)


def test_every_ranks_value_in_rank_order_is_everyones() -> None:
    assert together(lambda ranks: from_every_rank(ranks, lambda: [ranks.rank] * 2), 3) == [[[0, 0], [1, 1], [2, 2]]] * 3


def test_the_first_ranks_user_error_is_everyones() -> None:
    raised = together(lambda ranks: on_first_rank(ranks, failing(UserError("wrong"))))
    assert [(type(fault), str(fault)) for fault in raised] == [(UserError, "wrong")] * 2


@pytest.mark.parametrize("agree", ON_EVERY_RANK)
def test_the_user_error_of_one_rank_is_everyones(agree: Agree) -> None:
    raised = together(lambda ranks: agree(ranks, failing(UserError("only here")) if ranks.rank else lambda: None))
    assert [(type(fault), str(fault)) for fault in raised] == [(UserError, "only here")] * 2


def test_after_any_other_fault_the_first_rank_raises_it() -> None:
    assert isinstance(together(lambda ranks: on_first_rank(ranks, failing(ValueError("broken"))))[0], ValueError)


def test_after_any_other_fault_the_others_end_with_one_line() -> None:
    raised = together(lambda ranks: on_first_rank(ranks, failing(ValueError("broken\nin two lines"))))
    assert isinstance(raised[1], SystemExit)
    assert raised[1].code == "rank 1 ends because rank 0 failed: ValueError: broken"


@pytest.mark.parametrize("agree", ON_EVERY_RANK)
def test_a_fault_of_one_rank_ends_all(agree: Agree) -> None:
    raised = together(lambda ranks: agree(ranks, failing(ValueError("broken")) if ranks.rank else lambda: None))
    assert isinstance(raised[1], ValueError)
    assert raised[0].code == "rank 0 ends because rank 1 failed: ValueError: broken"


@pytest.mark.parametrize("agree", [on_first_rank, *ON_EVERY_RANK])
def test_work_that_is_left_on_the_first_rank_is_left_on_all(agree: Agree) -> None:
    raised = together(lambda ranks: agree(ranks, failing(ToLeave()) if ranks.rank == 0 else lambda: None))
    assert [type(fault) for fault in raised] == [ToLeave] * 2


@pytest.mark.slow
def test_a_rank_that_is_through_waits_in_no_collective() -> None:
    """Rank 0 works longer than a collective lasts here; a wait in one would end rank 1 with a broken barrier. All three
    ways to agree wait at the same time."""
    nothing = threading.Event()

    def work(rank: int) -> int:
        nothing.wait(COLLECTIVE_SECONDS + 1 if rank == 0 else 0)
        return 5

    def values(agree: Agree) -> list[Any]:
        return together(lambda ranks: agree(ranks, lambda: work(ranks.rank)))

    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(values, [on_first_rank, on_every_rank, from_every_rank]))
    assert found == [[5, 5], [5, 5], [[5, 5]] * 2]


def test_one_rank_alone_raises_its_own() -> None:
    with pytest.raises(KeyError):
        on_first_rank(ALONE, failing(KeyError("mine")))


def test_a_process_that_is_no_rank_hears_nothing_of_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}
    for name in names:
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    known = environment_without_ranks()
    assert (names & known.keys(), known["CUDA_VISIBLE_DEVICES"]) == (set(), "3")
