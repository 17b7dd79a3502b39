"""What a process takes before its model counts, measured by a real run."""

from __future__ import annotations

import pytest

from recipes.errors import UserError
from train.plan import base_memory


@pytest.mark.slow
def test_a_process_takes_hundreds_of_megabytes_whatever_launched_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    held = b"\1" * (9 << 28)  # 2.25 GiB of this process, which the system would count as the run's
    assert 200 << 20 < base_memory.base_bytes(stage=0) < 2 << 30
    assert held


def test_a_run_that_fails_is_named_with_what_to_give_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_memory, "SMALL", ("recipe=nowhere.yaml",))
    with pytest.raises(UserError, match=r"its run failed \(.*nowhere.yaml.*\); give base_gb=N"):
        base_memory.base_bytes(stage=0)
