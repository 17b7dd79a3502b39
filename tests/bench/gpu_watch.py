"""What a GPU did while a process ran: the memory that torch reserved and the device showed, and how busy a step was."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

EVERY_SECONDS = 0.05
Span = tuple[float, float]


class MemoryWatch:
    """Looks at the GPU in a thread; `close` writes {"reserved", "device", "context"} in bytes to `file`.

    Peaks of torch are reset by whoever logs them, so they are read again and again; what the device shows beyond what
    is reserved at that moment is context, kernels and NCCL.
    """

    def __init__(self, file: Path) -> None:
        self.file, self.found = file, {"reserved": 0, "device": 0, "context": 0}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._ended.wait(EVERY_SECONDS):
            if torch.cuda.is_initialized():
                self.note(*_memory())

    def note(self, peak: int, reserved: int, device: int) -> None:
        """One look: torch's peak since it was reset, what it reserves now, what the device shows now."""
        found = self.found
        found["reserved"] = max(found["reserved"], peak, reserved)
        found["device"] = max(found["device"], device)
        found["context"] = max(found["context"], device - reserved)

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        self.file.write_text(json.dumps(self.found), encoding="ascii")


def _memory() -> tuple[int, int, int]:
    free, total = torch.cuda.mem_get_info()
    return torch.cuda.max_memory_reserved(), torch.cuda.memory_reserved(), total - free


class BusyStep(TrainerCallback):  # type: ignore[misc]
    """Profiles one optimizer step and writes the share of its time in which the GPU worked to `file`."""

    def __init__(self, step: int, file: Path) -> None:
        self.step, self.file = step, file
        self.profile: Any = None

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step + 1 == self.step:
            self._wait()
            self.profile = torch.profiler.profile()
            self.profile.__enter__()
            self.started = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step and self.profile is not None:
            self._wait()
            seconds = time.perf_counter() - self.started
            self.profile.__exit__(None, None, None)
            busy = covered(device_spans(self.profile.events())) / 1e6
            self.file.write_text(json.dumps({"busy_seconds": busy, "seconds": seconds}), encoding="ascii")

    def _wait(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()


def device_spans(events: Iterable[Any]) -> list[Span]:
    """Begin and end, in microseconds, of what ran on the GPU."""
    kind = torch.autograd.DeviceType.CUDA
    return [(event.time_range.start, event.time_range.end) for event in events if event.device_type == kind]


def covered(spans: Iterable[Span]) -> float:
    """The length that spans cover together, where they overlap counted once."""
    total, end = 0.0, float("-inf")
    for begin, until in sorted(spans):
        total += max(0.0, until - max(begin, end))
        end = max(end, until)
    return total
