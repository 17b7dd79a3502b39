"""Which products are measured and what is said of them; the times themselves are the machine's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from prune.align.matrices import Group, Matrices
from prune.align.profiling import Product, Profile, describe_profile, profile, variants, write_profile

MATRICES = Matrices(
    (Group("gate", 24, 16, 2), Group("up", 24, 16, 2), Group("embedding", 53, 16, 1), Group("head", 53, 16, 1))
)


def made_up(device: str) -> Profile:
    times = {"stored": 12.0, "aligned": 10.0, "odd": 15.0}
    products = [Product("gate", sizes, "prefill", 1024, 1, 1, time, 0.5) for sizes, time in times.items()]
    return Profile(device, "2.13", "bfloat16", tuple(products))


def test_sizes_are_raised_to_64_and_one_less() -> None:
    assert variants(100, 128) == {"stored": (100, 128), "aligned": (128, 128), "odd": (127, 127)}


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what a CPU is told")
def test_each_product_is_measured_once_at_every_size() -> None:
    measured = profile(MATRICES, seconds=1e-4)
    told = {(p.kind, p.phase, p.tokens) for p in measured.products}
    gate = {("gate", "decode", 1), ("gate", "decode", 32), ("gate", "prefill", 1024), ("gate", "prefill", 4096)}
    assert told == gate | {("head", "decode", 1), ("head", "decode", 32)}
    assert len(measured.products) == 3 * len(told) and min(p.median_microseconds for p in measured.products) > 0
    assert (measured.device, measured.dtype, measured.torch) == ("cpu", "float32", torch.__version__)


def test_the_table_shows_how_much_slower_odd_sizes_are() -> None:
    lines = describe_profile(made_up("some GPU")).splitlines()
    assert lines[0] == "device     some GPU, bfloat16, torch 2.13"
    assert lines[-1].split() == ["gate", "1,024", "12.0", "µs", "10.0", "µs", "15.0", "µs", "1.50"]


def test_on_a_cpu_the_rule_stands_in_for_the_times() -> None:
    assert "say nothing about a GPU" in describe_profile(made_up("cpu"))
    assert "say nothing about a GPU" not in describe_profile(made_up("some GPU"))


def test_the_table_is_written_with_device_and_version(tmp_path: Path) -> None:
    write_profile(made_up("some GPU"), tmp_path / "t.json")
    written = json.loads((tmp_path / "t.json").read_text())
    assert (written["device"], written["torch"], len(written["products"])) == ("some GPU", "2.13", 3)
    assert written["products"][2]["median_microseconds"] == 15.0
