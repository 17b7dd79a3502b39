"""Sizes of a step, and the order in which a block runs; graphs themselves need a GPU."""

from __future__ import annotations

import pytest
import torch

from eval.engines.decode_graphs import Runner, step_size
from eval.engines.decode_step import Size
from eval.engines.slot_cache import SlotCache


@pytest.mark.parametrize(
    ("rows", "width", "size"),
    [(1, 20, (8, 256)), (9, 256, (16, 256)), (64, 257, (64, 512)), (65, 600, (100, 1000)), (100, 1000, (100, 1000))],
)
def test_sizes_are_powers_of_two_and_all_that_there_is(rows: int, width: int, size: tuple[int, int]) -> None:
    assert step_size(rows, width, SlotCache(1, 100, 1000)) == size


def test_a_small_cache_has_small_sizes() -> None:
    assert step_size(1, 20, SlotCache(1, 3, 40)) == (3, 40)


def test_deterministic_steps_have_one_size() -> None:
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        assert step_size(1, 20, SlotCache(1, 100, 1000)) == (100, 1000)
    finally:
        torch.use_deterministic_algorithms(before)


class Noting:
    """A step that notes how it is run."""

    def __init__(self, device: str = "cpu") -> None:
        self.ran: list[str] = []
        self.total = torch.zeros(1, device=device)

    def run(self, size: Size) -> None:
        self.ran.append("as it is")
        self.total.add_(1)

    def run_exactly(self, size: Size) -> None:
        self.ran.append("exactly")


def test_the_first_step_of_an_exact_block_decides_every_choice() -> None:
    step = Noting()
    runner = Runner(step, captures=False)
    runner.run(Size(8, 256), 3, is_exact=True)
    runner.run(Size(8, 256), 1, is_exact=False)
    runner.close()
    assert step.ran == ["exactly", "as it is", "as it is", "as it is"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU")
def test_a_graph_does_what_the_step_does() -> None:
    step = Noting("cuda")
    runner = Runner(step, captures=True)
    for _ in range(2):
        runner.run(Size(8, 256), 4, is_exact=False)
    assert step.total.item() == 8
    assert len(step.ran) == 2, "once as it is, once for the capture"
    runner.close()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU")
def test_a_step_that_asks_the_host_goes_on_without_graphs_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    class Asking(Noting):
        def run(self, size: Size) -> None:
            self.total.add_(1)
            self.ran.append(str(self.total.item()))

    step, stream = Asking("cuda"), torch.cuda.current_stream()
    runner = Runner(step, captures=True)
    runner.run(Size(8, 256), 4, is_exact=False)
    assert not runner.captures and torch.cuda.current_stream() == stream
    assert step.total.item() == 4
    assert "without CUDA graphs" in capsys.readouterr().err
