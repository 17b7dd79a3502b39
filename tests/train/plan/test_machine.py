"""A machine from what the user says of it, and the limits that a run exceeds."""

from __future__ import annotations

from dataclasses import replace

import psutil
import pytest

from recipes.errors import UserError
from tests.train.plan.setups import GPU, THOUSAND
from train.plan.device import Overhead
from train.plan.machine import Machine, find_misfits, read_machine
from train.plan.memory import MemoryEstimate, Moment

GIB = 1 << 30
NODES = {"gpus": 16, "gpu_memory_gb": 80, "gpus_per_node": 8, "host_memory_gb": 100, "disk_gb": 500}
MEMORY = MemoryEstimate(THOUSAND, GPU, (Moment("loss", {"all": 70 * GIB}),), {"optimizer states": 10 * GIB})


def test_gpus_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTORCH_ALLOC_CONF", raising=False)
    assert read_machine(NODES, stage=2, card="H100") == Machine(
        device="cuda",
        ranks=16,
        ranks_per_node=8,
        rank_bytes=80 * GIB,
        node_bytes=100 * GIB,
        disk_bytes=500 * GIB,
        base_bytes=800 << 20,
        base_origin="assumed (CUDA context, kernels)",
        card="H100",
        overhead=Overhead(workspaces=64 << 20, communication=512 << 20, kept_share=0.04),
    )


def test_ranks_on_cpus_share_the_main_memory_of_this_machine() -> None:
    machine, total = read_machine({"ranks": 2, "base_gb": 0.5}, stage=2), psutil.virtual_memory().total
    assert (machine.device, machine.node_bytes, machine.rank_bytes) == ("cpu", total, total // 2)
    assert (machine.base_bytes, machine.base_origin) == (GIB // 2, "as given")
    assert machine.overhead == Overhead()  # a CPU's base is measured with all of it


def test_a_broken_machine_is_a_mistake() -> None:
    with pytest.raises(UserError, match="gpus=12 is not a whole number of machines with gpus_per_node=8"):
        read_machine({"gpus": 12, "gpus_per_node": 8}, stage=2)


@pytest.mark.parametrize(
    ("limits", "misfits"),
    [
        ({}, ()),
        ({"rank_bytes": 60 * GIB}, ("a GPU: needs 70.0 GiB of 60.0 (peak: loss)",)),
        ({"node_bytes": 79 * GIB}, ("main memory of a machine: needs 80.0 GiB of 79.0 (offloaded states)",)),
        ({"disk_bytes": 29 * GIB}, ("disk: needs 30.0 GiB of 29.0 (what a run keeps)",)),
        ({"rank_bytes": 0, "node_bytes": 0, "disk_bytes": 0}, ()),  # not known, so not checked
    ],
)
def test_every_limit_that_is_exceeded_is_named(limits: dict[str, int], misfits: tuple[str, ...]) -> None:
    disk = {"a checkpoint": 10 * GIB, "3 checkpoints": 30 * GIB}  # the first is one of the three
    machine = replace(read_machine(NODES, stage=2), **limits)
    assert find_misfits(machine, MEMORY, disk) == misfits
