"""The processes of a run: whether DeepSpeed is used, and where ranks wait for each other."""

from __future__ import annotations

import socket
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from torch.distributed import TCPStore

from recipes.errors import UserError
from recipes.zero import ZeroSection
from runtime.pulse import PULSE
from tests.train.runs import SCRIPT, small
from tests.train.starts import completed
from train.processes import Meeting, check_gpus, uses_deepspeed


@pytest.mark.parametrize(("stage", "world", "used"), [(0, "1", False), (0, "2", True), (1, "1", True), (3, "2", True)])
def test_deepspeed_is_left_out_only_at_stage_0_in_one_process(
    stage: Any, world: str, used: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", world)
    assert uses_deepspeed(ZeroSection(stage=stage)) is used


@pytest.fixture
def meetings() -> list[Meeting]:
    """Three ranks at one store, as on three processes."""
    first = TCPStore("127.0.0.1", 0, 3, True, timedelta(seconds=30), wait_for_workers=False)
    others = [TCPStore("127.0.0.1", first.port, 3, False, timedelta(seconds=30), wait_for_workers=False) for _ in "12"]
    return [Meeting(store, rank, 3) for rank, store in enumerate([first, *others])]


def test_nobody_leaves_a_meeting_before_all_are_there(meetings: list[Meeting]) -> None:
    left: list[int] = []

    def arrive(rank: int) -> None:
        meetings[rank]()
        left.append(rank)

    threads = [threading.Thread(target=arrive, args=(rank,)) for rank in (0, 1)]
    for thread in threads:
        thread.start()
    threads[0].join(timeout=0.5)  # time enough to leave, which nobody may
    before = list(left)
    meetings[2]()
    for thread in threads:
        thread.join()
    assert (before, sorted(left)) == ([], [0, 1])


def test_a_meeting_leaves_no_more_than_its_own_keys(meetings: list[Meeting]) -> None:
    def arrive(rank: int) -> None:
        for _ in range(5):
            meetings[rank]()

    threads = [threading.Thread(target=arrive, args=(rank,)) for rank in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    before = meetings[0].store.num_keys()
    for rank in range(3):
        threads[rank] = threading.Thread(target=arrive, args=(rank,))
        threads[rank].start()
    for thread in threads:
        thread.join()
    assert meetings[0].store.num_keys() == before


def test_who_waits_is_not_silent() -> None:
    PULSE.beat_at -= 1000.0
    with PULSE.waiting():
        assert PULSE.silence_seconds() == 0.0
    assert PULSE.silence_seconds() < 500.0


def test_more_ranks_than_gpus_are_refused_with_both_numbers() -> None:
    with pytest.raises(UserError, match=r"2 ranks on this machine, but only 1 GPU\(s\)"):
        check_gpus(1, {"LOCAL_WORLD_SIZE": "2"})


@pytest.mark.parametrize("environment", [{}, {"LOCAL_SIZE": "2"}, {"LOCAL_WORLD_SIZE": "1"}])
def test_as_many_gpus_as_ranks_will_do(environment: dict[str, str]) -> None:
    check_gpus(2, environment)


@pytest.mark.slow
def test_a_port_that_another_run_has_is_named(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("", 0))
        other.listen()
        port = str(other.getsockname()[1])
        arguments = small("lora", tmp_path / "run", tmp_path, "zero.stage=2", "dry_run=true")
        run = completed([SCRIPT, *arguments], tmp_path, MASTER_PORT=port)
    assert (run.returncode, "Traceback" in run.stderr) == (2, False)
    assert f"port {port}, at which the ranks meet, is taken" in run.stderr
