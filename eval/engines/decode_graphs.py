"""CUDA graphs of the decoding step: a few sizes, captured when needed, freed before training continues.

A step launches well over a thousand small kernels; launched one by one, the host is slower than the GPU. The first step
of a size runs without a graph, which also loads its kernels; then it is captured, and all later steps replay the graph.
A model whose step cannot be captured (for example because a layer copies to the host) runs without graphs, and a
message says so.
"""

from __future__ import annotations

import sys
from typing import Protocol

import torch

from eval.engines.decode_step import Size
from eval.engines.slot_cache import SlotCache

NARROWEST = 256
FEWEST_ROWS = 8
"""fewer would take as long: a step reads all weights"""


class Step(Protocol):
    """One step on buffers at fixed addresses; `run_exactly` may synchronise with the host."""

    def run(self, size: Size) -> None: ...

    def run_exactly(self, size: Size) -> None: ...


def step_size(rows: int, width: int, cache: SlotCache) -> Size:
    """The smallest available size for this many rows and columns: powers of two, and the whole cache.

    Products round differently at different numbers of rows, so under `deterministic` there is only one number of rows.
    """
    if torch.are_deterministic_algorithms_enabled():
        return Size(cache.slots, cache.capacity)
    wide = max(NARROWEST, _power_of_two(width))
    return Size(min(max(FEWEST_ROWS, _power_of_two(rows)), cache.slots), min(wide, cache.capacity))


def _power_of_two(least: int) -> int:
    return 1 << (least - 1).bit_length()


class Runner:
    """Runs blocks of steps, with graphs if they are wanted and possible."""

    def __init__(self, step: Step, captures: bool) -> None:
        self.step, self.captures = step, captures
        self.graphs: dict[Size, torch.cuda.CUDAGraph] = {}

    def run(self, size: Size, steps: int, is_exact: bool) -> None:
        """Runs `steps` steps of a size; if `is_exact`, the first one decides every choice."""
        for number in range(steps):
            graph = self.graphs.get(size)
            if is_exact and number == 0:
                self.step.run_exactly(size)
            elif graph is not None:
                graph.replay()
            else:
                self.step.run(size)
                if self.captures:
                    self._capture(size)

    def close(self) -> None:
        """Frees the graphs and the memory that they held."""
        if self.graphs:
            torch.cuda.synchronize()  # a replay may still be running
            self.graphs.clear()
            torch.cuda.empty_cache()

    def _capture(self, size: Size) -> None:
        """One graph of this size. All share the memory of the first, since they never run at the same time."""
        pool = next(iter(self.graphs.values())).pool() if self.graphs else None
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        try:
            # other threads of this process (such as NCCL's watchdog) may use CUDA during the capture
            with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
                self.step.run(size)
        except RuntimeError as fault:
            self.captures = False
            torch.cuda.set_stream(stream)  # after a failed capture, torch stays on the capture's stream
            reason = (str(fault).splitlines() or [type(fault).__name__])[0][:200]
            print(f"sweep: decoding without CUDA graphs, since a step cannot be captured: {reason}", file=sys.stderr)
            return
        self.graphs[size] = graph
