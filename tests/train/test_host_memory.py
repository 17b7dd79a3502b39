"""Freed tensors of a large model go back to the system: resident memory of a process, before and after."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from recipes.paths import ROOT
from train.host_memory import return_freed_memory

PROGRAM = """
import sys, torch
from train.host_memory import LARGE_MODEL_BYTES, return_freed_memory
def resident():
    return next(int(line.split()[1]) >> 10 for line in open("/proc/self/status") if line.startswith("RssAnon"))
large = torch.nn.Linear(LARGE_MODEL_BYTES // 4, 1, bias=False)
torch.ones(31 << 18).sum()  # freed: from here on glibc keeps what is smaller than 31 MiB in its heap
if sys.argv[1] == "true":
    assert return_freed_memory(large)
before = resident()
tensors = [torch.ones(1 << 19) for _ in range(100)]  # 2 MiB each
last = tensors[-1]
tensors.clear()
print(resident() - before)
"""


@pytest.mark.slow  # a process of its own
@pytest.mark.skipif(sys.platform != "linux", reason="reads resident memory from /proc")
@pytest.mark.parametrize(("asked", "least", "most"), [("true", 0, 20), ("false", 150, 220)])
def test_what_is_freed_below_a_living_tensor_goes_back(asked: str, least: int, most: int) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, asked], cwd=ROOT, capture_output=True, text=True, check=True)
    assert least <= int(done.stdout) <= most


def test_a_small_model_is_left_alone() -> None:
    assert return_freed_memory(torch.nn.Linear(2, 2)) is False
