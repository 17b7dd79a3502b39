"""Two launchers on this machine, as on two machines without logins, train what two ranks of one machine do."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import torch

from tests.train.runs import SCRIPT, environment, free_port, rows, same, small, weights
from tests.train.starts import completed_ranks

SHORT = (
    "trainer.max_steps=3",
    "trainer.save_steps=3",
    "trainer.logging_steps=1",
    "sweep.every_steps=1000",
    "export.enabled=false",
    "trainer.per_device_train_batch_size=4",
)


def start_node(number: int, port: int, hosts: Path, arguments: list[str]) -> subprocess.Popen[str]:
    command = [
        "deepspeed",
        "--hostfile",
        str(hosts),
        "--no_ssh",
        "--node_rank",
        str(number),
        "--master_addr",
        "127.0.0.1",
        "--master_port",
        str(port),
        SCRIPT,
        *arguments,
    ]
    return subprocess.Popen(
        command, cwd=hosts.parent, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="both launchers would take GPU 0: needs two machines")
def test_two_nodes_train_what_one_with_two_ranks_does(tmp_path: Path, cache: Path) -> None:
    hosts, port = tmp_path / "hosts", free_port()
    hosts.write_text("first slots=1\nsecond slots=1\n")
    arguments = small("full", tmp_path / "nodes", cache, *SHORT)
    nodes = [start_node(number, port, hosts, arguments) for number in (0, 1)]
    said = [node.communicate(timeout=300)[1] for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], said[0][-1500:] + said[1][-1500:]
    done = completed_ranks([SCRIPT, *small("full", tmp_path / "one", cache, *SHORT)], tmp_path, 2)
    assert done.returncode == 0, done.stderr[-1500:]
    two, one = ([row["loss"] for row in rows(tmp_path / name / "metrics.jsonl")] for name in ("nodes", "one"))
    assert two == one
    assert same(*(weights(tmp_path / name / "checkpoint-3") for name in ("nodes", "one")))


def test_the_template_of_machines_is_one_that_deepspeed_reads() -> None:
    from deepspeed.launcher.runner import fetch_hostfile

    assert dict(fetch_hostfile(str(Path(SCRIPT).parent / "hostfile.example"))) == {"node1": 8, "node2": 8}
