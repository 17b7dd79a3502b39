"""How ranks agree: what one fails with, all end with. The ranks are threads that exchange their rows at a barrier."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recipes.errors import UserError
from recipes.zero import ZeroSection
from runtime.ranks import ALONE, Ranks, environment_alone, on_every_rank, on_first_rank
from train.processes import on_every_rank_however_long, on_first_rank_however_long, uses_deepspeed


def together(act: Callable[[Ranks], Any], count: int = 2) -> list[Any]:
    """What `act` gives or raises on each of `count` ranks; a rank that waits for ever breaks the barrier."""
    barrier, lists = threading.Barrier(count, timeout=20), [[] for _ in range(count)]
    outcomes: list[Any] = [None] * count

    def work(rank: int) -> None:
        def gather(rows: list[Any]) -> list[Any]:
            lists[rank] = rows
            barrier.wait()
            joined = [row for part in lists for row in part]
            barrier.wait()
            return joined

        try:
            outcomes[rank] = act(Ranks(rank=rank, count=count, gather=gather))
        except (Exception, SystemExit) as fault:
            outcomes[rank] = fault

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def failing(fault: Exception) -> Callable[[], Any]:
    def work() -> Any:
        raise fault

    return work


def test_the_first_ranks_value_is_everyones() -> None:
    assert together(lambda ranks: on_first_rank(ranks, lambda: ranks.rank + 10)) == [10, 10]


def test_the_first_ranks_user_error_is_everyones() -> None:
    found = together(lambda ranks: on_first_rank(ranks, failing(UserError("wrong"))))
    assert [(type(each), str(each)) for each in found] == [(UserError, "wrong")] * 2


def test_after_any_other_fault_the_first_rank_raises_it() -> None:
    found = together(lambda ranks: on_first_rank(ranks, failing(ValueError("broken"))))
    assert isinstance(found[0], ValueError)


def test_after_any_other_fault_the_others_end_with_one_line() -> None:
    found = together(lambda ranks: on_first_rank(ranks, failing(ValueError("broken\nin two lines"))))
    assert isinstance(found[1], SystemExit)
    assert found[1].code == "rank 1 ends because rank 0 failed: ValueError: broken"


def test_a_process_that_is_no_rank_hears_nothing_of_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    known = environment_alone()
    assert not {"RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} & known.keys()
    assert known["CUDA_VISIBLE_DEVICES"] == "3"


def test_long_work_of_the_first_rank_is_everyones(tmp_path: Path) -> None:
    """Rank 1 is in no collective while rank 0 works: the barrier there would break after 20 seconds."""
    place = tmp_path / "not" / "there"
    assert together(lambda ranks: on_first_rank_however_long(ranks, place, lambda: f"of {ranks.rank}")) == ["of 0"] * 2
    assert list(place.iterdir()) == []


def test_a_user_error_of_long_work_is_everyones(tmp_path: Path) -> None:
    found = together(lambda ranks: on_first_rank_however_long(ranks, tmp_path, failing(UserError("wrong"))))
    assert [(type(each), str(each)) for each in found] == [(UserError, "wrong")] * 2


def test_another_fault_of_long_work_ends_all(tmp_path: Path) -> None:
    found = together(lambda ranks: on_first_rank_however_long(ranks, tmp_path, failing(ValueError("broken\nin two"))))
    assert isinstance(found[0], ValueError)
    assert found[1].code == "rank 1 ends because rank 0 failed: ValueError: broken"


def test_a_rank_that_is_through_waits_in_no_collective_for_the_others(tmp_path: Path) -> None:
    """Rank 0 works until rank 1 is through, which it can only learn where rank 1 does not wait for it first."""
    pause = threading.Event()

    def work(rank: int) -> list[int]:
        for _ in range(0 if rank else 500):
            if list(tmp_path.glob(".outcome.*.1")):
                return [rank, 1]
            pause.wait(0.02)
        return [rank]

    found = together(lambda ranks: on_every_rank_however_long(ranks, tmp_path, lambda: work(ranks.rank)))
    assert found == [[[0, 1], [1]]] * 2
    assert list(tmp_path.iterdir()) == []


def test_a_user_error_of_one_ranks_long_work_is_everyones(tmp_path: Path) -> None:
    def work(ranks: Ranks) -> str:
        if ranks.rank == 1:
            raise UserError("only here")
        return ""

    found = together(lambda ranks: on_every_rank_however_long(ranks, tmp_path, lambda: work(ranks)))
    assert [(type(each), str(each)) for each in found] == [(UserError, "only here")] * 2


def test_another_fault_of_one_ranks_long_work_ends_all(tmp_path: Path) -> None:
    found = together(
        lambda ranks: on_every_rank_however_long(
            ranks, tmp_path, failing(ValueError("broken")) if ranks.rank == 1 else lambda: ""
        )
    )
    assert isinstance(found[1], ValueError)
    assert found[0].code == "rank 0 ends because rank 1 failed: ValueError: broken"


def test_a_folder_for_long_work_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = together(lambda ranks: on_first_rank_however_long(ranks, tmp_path / "file", lambda: "never"))
    assert all(isinstance(each, UserError) and "file: cannot be written" in str(each) for each in found)


def test_every_rank_gets_its_own_value() -> None:
    assert together(lambda ranks: on_every_rank(ranks, lambda: ranks.rank)) == [0, 1]


def test_the_user_error_of_one_rank_is_everyones() -> None:
    def work(ranks: Ranks) -> None:
        if ranks.rank == 1:
            raise UserError("only here")

    found = together(lambda ranks: on_every_rank(ranks, lambda: work(ranks)))
    assert [(type(each), str(each)) for each in found] == [(UserError, "only here")] * 2


def test_one_rank_alone_raises_its_own() -> None:
    with pytest.raises(KeyError):
        on_first_rank(ALONE, failing(KeyError("mine")))


@pytest.mark.parametrize(("stage", "world", "used"), [(0, "1", False), (0, "2", True), (1, "1", True), (3, "2", True)])
def test_deepspeed_is_left_out_only_at_stage_0_in_one_process(
    stage: Any, world: str, used: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", world)
    assert uses_deepspeed(ZeroSection(stage=stage)) is used
