"""The two ways in which a run sweeps itself: on the weights in training, or on saved ones in a process of its own."""

from __future__ import annotations

import atexit
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from eval.engines.memory import PeakMemory
from eval.kept_sweep import KeptSweep, Place
from eval.samples import read_sweep
from eval.sweep import SweepSpec
from eval.types import SuiteSweep, Weights
from eval.weights_hash import weights_hash
from recipes.errors import UserError
from recipes.paths import ROOT
from recipes.sweep import SweepSection
from runtime.files import write_whole
from runtime.pulse import beat, may_leave
from runtime.ranks import environment_without_ranks, on_first_rank
from train.hooks.recorder import Clock, Cost, SweepRecorder
from train.model import whole_model
from train.processes import POLL_SECONDS

ORPHAN_SECONDS = 20.0
"""for a process that is asked to end; then it is killed"""


class Sweeps(Protocol):
    """What the callback asks for; all ranks call all of it, at the same steps."""

    def begin(self, step: int) -> None: ...

    def has(self, step: int) -> bool: ...

    def poll(self) -> None: ...

    def sweep(self, step: int, error: float) -> None: ...

    def wait(self) -> None: ...

    def leave(self) -> None: ...


class LiveSweeps:
    """On the weights in training, which are left as they were (`eval.quiet`); training waits."""

    def __init__(self, trainer: Any, spec: SweepSpec, recorder: SweepRecorder, clock: Clock) -> None:
        self.trainer, self.spec, self.recorder, self.clock = trainer, spec, recorder, clock

    def begin(self, step: int) -> None:
        pass

    def has(self, step: int) -> bool:
        return False

    def poll(self) -> None:
        pass

    def sweep(self, step: int, error: float) -> None:
        """One sweep. What a killed process had of it already is used, if the weights are the same to the bit."""
        started, memory = time.perf_counter(), PeakMemory()
        try:
            sweeps = self._sweep(Place(self.recorder.folder.path / "samples", "run", step))
        finally:  # a sweep that is left has taken its time too
            seconds = time.perf_counter() - started
            self.clock.sweep_seconds += seconds
        # resident memory says nothing in a process that held more before: on a CPU only the benchmark measures it
        cost = Cost(seconds, memory.bytes() if torch.cuda.is_available() else 0)
        self.recorder.record(sweeps, cost, error)

    def _sweep(self, place: Place) -> dict[str, SuiteSweep]:
        ranks = self.recorder.ranks
        with may_leave(), whole_model(self.trainer) as model:
            kept = KeptSweep(self.spec, place, on_first_rank(ranks, lambda: weights_hash(model)), ranks)
            on_first_rank(ranks, kept.set_others_aside)
            return kept.run(lambda: Weights(model))

    def wait(self) -> None:
        pass

    def leave(self) -> None:
        pass


@dataclass(frozen=True)
class Job:
    """One sweep of saved weights: its folder holds `weights`, `job.json` and, in time, `out`."""

    folder: Path
    step: int
    error: float

    @property
    def samples(self) -> Path:
        return self.folder / "out" / "weights" / "samples"

    @property
    def pid_file(self) -> Path:
        return self.folder / "pid"


class SavedSweeps:
    """On weights that are saved for it, by `python -m eval` in a process of its own, one sweep after the other.

    With `sweep.background` training goes on and each result is recorded at its own step when it is there; else training
    waits. A job is a folder under `sweeping` in the run's folder until its result is recorded, so that a run that was
    stopped does what is left of it when it goes on. Only rank 0 starts and reads processes.
    """

    def __init__(
        self, trainer: Any, spec: SweepSpec, section: SweepSection, recorder: SweepRecorder, clock: Clock
    ) -> None:
        self.trainer, self.spec, self.section, self.recorder, self.clock = trainer, spec, section, recorder, clock
        self.waiting: deque[Job] = deque()
        self.running: tuple[Job, subprocess.Popen[bytes], float] | None = None

    @property
    def folder(self) -> Path:
        return self.recorder.folder.path / "sweeping"

    def begin(self, step: int) -> None:
        """Takes up what was left, on all ranks; jobs of steps that are trained again are forgotten."""
        if self.recorder.ranks.rank == 0:
            for file in sorted(self.folder.glob("step-*/job.json")):
                job = Job(file.parent, **json.loads(file.read_text(encoding="utf-8")))
                end_orphan(job)
                if job.step > step:
                    shutil.rmtree(job.folder)
                else:
                    self.waiting.append(job)
        self.poll()
        if not self.section.background:
            self.wait()

    def sweep(self, step: int, error: float) -> None:
        """Saves the weights, on all ranks, and has them swept."""
        started = time.perf_counter()
        job = Job(self.folder / f"step-{step:06d}", step, error)
        self.trainer.save_model(str(job.folder / "weights"), _internal_call=True)
        if self.recorder.ranks.rank == 0:
            write_whole(job.folder / "job.json", json.dumps({"step": step, "error": error}))
            self.waiting.append(job)
        self.poll()
        if not self.section.background:
            self.wait()
        self.clock.sweep_seconds += time.perf_counter() - started

    def has(self, step: int) -> bool:
        """Whether the weights of a sweep lie here and wait; on rank 0."""
        return any(job.step == step for job in [*self.waiting, *([self.running[0]] if self.running else [])])

    def poll(self) -> None:
        """Records a result that has come and starts the next job; on rank 0."""
        if self.recorder.ranks.rank != 0:
            return
        if self.running is not None and self.running[1].poll() is not None:
            job, process, started = self.running
            self.running = None
            self._record(job, process.returncode, time.perf_counter() - started)
        if self.running is None and self.waiting:
            job = self.waiting.popleft()
            self.running = job, self._start(job), time.perf_counter()

    def wait(self) -> None:
        """Until every job is recorded."""
        with may_leave():
            on_first_rank(self.recorder.ranks, self._finish)

    def leave(self) -> None:
        """Ends the process; its journal and its folder stay, and the same command goes on with them."""
        if self.running is not None:
            self.running[1].terminate()
            self.running[1].wait()

    def _finish(self) -> str:
        while self.running is not None:
            with suppress(subprocess.TimeoutExpired):
                self.running[1].wait(POLL_SECONDS)
            beat()
            self.poll()
        return ""

    def _start(self, job: Job) -> subprocess.Popen[bytes]:
        environment = environment_without_ranks()
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        if self.section.devices is not None:
            environment["CUDA_VISIBLE_DEVICES"] = self.section.devices
        command = [
            sys.executable,
            "-m",
            "eval",
            f"model={job.folder / 'weights'}",
            f"step={job.step}",
            f"recipe={self.recorder.folder.path / 'recipe.yaml'}",
            f"out={job.folder / 'out'}",
        ]
        with (job.folder / "log.txt").open("ab") as log:
            process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        atexit.register(process.terminate)
        write_whole(job.pid_file, str(process.pid))
        return process

    def _record(self, job: Job, code: int, seconds: float) -> None:
        """The rows of a result, and its samples beside the others'. A sweep that failed is said, and ends no training.

        Where training waits for it the failure is the user's to mend: UserError.
        """
        if code != 0:
            lines = (job.folder / "log.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()
            last = lines[-1][:300] if lines else "no word"
            said = (
                f"the sweep of step {job.step} failed with code {code} ({last}); its log is "
                f"{job.folder / 'log.txt'}, and the same command tries it again"
            )
            if not self.section.background:
                raise UserError(said)
            print(said, file=sys.stderr, flush=True)
            return
        sweeps = {}
        for suite in self.spec.suites:
            source = Place(job.samples, "run", job.step).file(suite.name)
            target = Place(self.recorder.folder.path / "samples", "run", job.step).file(suite.name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            sweeps[suite.name] = read_sweep(target)
        self.recorder.record(sweeps, Cost(seconds), job.error)
        shutil.rmtree(job.folder)


def end_orphan(job: Job) -> None:
    """Ends the process that a killed run has left at this job on this machine, if it is still the same one (Linux), and
    waits until it is gone."""
    try:
        pid = int(job.pid_file.read_text(encoding="ascii"))
        handle = os.pidfd_open(pid)
    except (OSError, ValueError):
        return
    with os.fdopen(handle):
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        if f"model={job.folder / 'weights'}" not in command.split("\0"):
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            signal.pidfd_send_signal(handle, number)
            if select.select([handle], [], [], ORPHAN_SECONDS)[0]:
                return


def make_sweeps(trainer: Any, spec: SweepSpec, section: SweepSection, recorder: SweepRecorder, clock: Clock) -> Sweeps:
    """The way that the recipe asks for: saved weights in the background, and for an engine that is not in process."""
    if section.engine.in_process and not section.background:
        return LiveSweeps(trainer, spec, recorder, clock)
    return SavedSweeps(trainer, spec, section, recorder, clock)
