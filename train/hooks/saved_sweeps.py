"""Sweeps of saved weights in a separate process."""

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
from typing import Any

from eval.kept_sweep import Place
from eval.samples import read_sweep
from eval.sweep import SweepSpec
from recipes.errors import UserError
from recipes.paths import ROOT
from recipes.sweep import SweepSection
from runtime.files import write_whole
from runtime.progress import progress
from runtime.pulse import beat, may_leave
from runtime.ranks import environment_without_ranks, on_first_rank
from runtime.run_folder import RunFolder
from runtime.seal import copy_sealed
from train.hooks.metrics import Clock
from train.hooks.recorder import Cost, SweepRecorder
from train.hooks.sweep import LiveSweeps, Sweeps
from train.processes import POLL_SECONDS

LOOK_SECONDS = 5.0
"""interval between progress checks of a sweep; each check reads all its thoughts"""
ORPHAN_SECONDS = 20.0
"""how long a process may take to end before it is killed"""


@dataclass(frozen=True)
class Job:
    """One sweep of saved weights: its folder contains `weights`, `job.json` and, later, `out`."""

    folder: Path
    step: int

    @property
    def samples(self) -> Path:
        return RunFolder(self.folder / "out" / "weights").samples

    def thoughts(self) -> int:
        """Number of thoughts recorded so far: the lines of journals and samples, without their headers."""
        lines = 0
        for file in self.samples.glob("*/*.jsonl"):
            with suppress(FileNotFoundError):  # a journal is removed when its suite is finished
                lines += max(file.read_bytes().count(b"\n") - 1, 0)
        return lines

    @property
    def pid_file(self) -> Path:
        return self.folder / "pid"


class SavedSweeps(Sweeps):
    """Saves the weights and sweeps them with `python -m eval` in a separate process, one sweep at a time.

    With `sweep.background` training continues, and each result is recorded at its own step when it arrives; otherwise
    training waits. A job is a folder in `sweeping` of the run folder until its result is recorded, so that a stopped
    run finishes it on resume. Only rank 0 starts processes and reads their results.
    """

    def __init__(
        self, trainer: Any, spec: SweepSpec, section: SweepSection, recorder: SweepRecorder, clock: Clock
    ) -> None:
        self.trainer, self.spec, self.section, self.recorder, self.clock = trainer, spec, section, recorder, clock
        self.run, self.folder = recorder.run, recorder.run.folder.sweeping
        self.waiting: deque[Job] = deque()
        self.running: tuple[Job, subprocess.Popen[bytes], float] | None = None

    def begin(self, step: int) -> None:
        """Takes up unfinished jobs, on all ranks; jobs of steps that are trained again are discarded."""
        if self.run.is_first_rank:
            for file in sorted(self.folder.glob("step-*/job.json")):
                job = Job(file.parent, json.loads(file.read_text(encoding="utf-8"))["step"])
                end_orphan(job)
                if job.step > step:
                    shutil.rmtree(job.folder)
                else:
                    self.waiting.append(job)
        self.poll()
        if not self.section.background:
            self.wait()

    def sweep(self, step: int) -> None:
        """Saves the weights, on all ranks, and queues their sweep."""
        started = time.perf_counter()
        job = Job(self.folder / f"step-{step:06d}", step)
        self.trainer.save_model(str(job.folder / "weights"), _internal_call=True)
        if self.run.is_first_rank:
            write_whole(job.folder / "job.json", json.dumps({"step": step}))
            self.waiting.append(job)
        self.poll()
        if not self.section.background:
            self.wait()
        self.clock.sweep_seconds += time.perf_counter() - started

    def has(self, step: int) -> bool:
        """Whether the saved weights of this step are waiting for their sweep; on rank 0."""
        return any(job.step == step for job in [*self.waiting, *([self.running[0]] if self.running else [])])

    def poll(self) -> None:
        """Records a finished result and starts the next job; on rank 0."""
        if not self.run.is_first_rank:
            return
        if self.running is not None and self.running[1].poll() is not None:
            job, process, started = self.running
            self.running = None
            self._record(job, process.returncode, time.perf_counter() - started)
        if self.running is None and self.waiting:
            job = self.waiting.popleft()
            self.running = job, self._start(job), time.perf_counter()

    def wait(self) -> None:
        """Waits until every job is recorded; all ranks wait for rank 0, which runs the processes."""
        with may_leave():
            on_first_rank(self.run.ranks, self._finish)

    def leave(self) -> None:
        """Ends the process; its journal and folder stay, and the same command resumes from them."""
        if self.running is not None:
            self.running[1].terminate()
            self.running[1].wait()

    def _finish(self) -> str:
        while self.running is not None:
            job, process, _ = self.running
            wanted = sum(len(suite.problems) for suite in self.spec.suites) * self.spec.samples
            with progress(f"sweep of step {job.step} in a separate process", wanted, "thoughts") as work:
                looked = time.monotonic()
                while process.poll() is None:
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(POLL_SECONDS)
                    if time.monotonic() - looked > LOOK_SECONDS:
                        work.advance(job.thoughts() - work.done)
                        looked = time.monotonic()
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
            f"recipe={self.run.folder.recipe}",
            f"out={job.folder / 'out'}",
        ]
        # files, not pipes: nothing reads them during training, and a full pipe would block the sweep
        with (job.folder / "log.txt").open("ab") as log:
            process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        atexit.register(process.terminate)
        write_whole(job.pid_file, str(process.pid))
        return process

    def _record(self, job: Job, code: int, seconds: float) -> None:
        """Records the rows and samples of a result. A failed sweep is reported and does not end training.

        If training waits for the sweep, its failure is a UserError.
        """
        if code != 0:
            lines = (job.folder / "log.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()
            last = lines[-1][:300] if lines else "no output"
            said = (
                f"the sweep of step {job.step} failed with code {code} ({last}); its log is "
                f"{job.folder / 'log.txt'}; the same command tries it again"
            )
            if not self.section.background:
                raise UserError(said)
            print(said, file=sys.stderr, flush=True)
            return
        sweeps = {}
        for suite in self.spec.suites:
            target = Place(self.run.folder.samples, "run", job.step).file(suite.name)
            copy_sealed(Place(job.samples, "run", job.step).file(suite.name), target)
            sweeps[suite.name] = read_sweep(target)
        self.recorder.record(sweeps, Cost(seconds))
        shutil.rmtree(job.folder)


def end_orphan(job: Job) -> None:
    """Ends the process that a killed run left working on this job on this machine, and waits until it is gone. Checks
    that the pid still belongs to it (Linux)."""
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
    """The sweeps that the recipe needs: on saved weights if in the background or if the engine is not in process."""
    if section.engine.in_process and not section.background:
        return LiveSweeps(trainer, spec, recorder, clock)
    return SavedSweeps(trainer, spec, section, recorder, clock)
