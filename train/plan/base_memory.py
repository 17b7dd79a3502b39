"""The base memory of a process on a CPU, without a significant model: measured by a run of the embedded model.

That model has half a million parameters and trains for two steps on one short trace, so the run's memory is that of
Python, torch, DeepSpeed, TRL and their state. No formula gives it, and it differs between machines.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from recipes.errors import UserError
from recipes.paths import ROOT
from runtime.ranks import environment_without_ranks

SMALL = (
    "recipe=full_recovery.yaml",
    "trainer.per_device_train_batch_size=1",
    "trainer.max_steps=2",
    "data.traces.size=16",
    "trainer.save_strategy=no",
    "export.enabled=false",
    "wandb.mode=disabled",
    "sweep.every_steps=2",
    "sweep.budgets=[8]",
    "sweep.suites.0.size=1",
    "sweep.suites.1.size=1",
    "sweep.suites.2.size=2",
    "sweep.confirm=null",
    "sweep.engine.batch_size=1",
)


# A child inherits the peak memory of the process that starts it (Linux keeps `ru_maxrss` across exec), so a small
# process starts the run and reports its peak.
STARTER = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=sys.stderr)
_, status, usage = os.wait4(process.pid, 0)  # the only wait that gives the peak of one child alone
process.returncode = os.waitstatus_to_exitcode(status)
print(usage.ru_maxrss)
sys.exit(process.returncode != 0)
"""


def base_bytes(stage: int) -> int:
    """Peak resident memory of such a run in one process, in bytes; stage 0 runs without DeepSpeed.

    Takes about half a minute. UserError if the run fails.
    """
    with tempfile.TemporaryDirectory() as name:
        places = [f"run.dir={name}/run", f"run.cache_dir={name}/cache", f"data.cache_dir={name}/data"]
        command = [sys.executable, str(ROOT / "launch" / "train.py"), *SMALL, *places, f"zero.stage={stage}"]
        with (Path(name) / "log").open("wb") as log:
            starter = [sys.executable, "-S", "-c", STARTER, *command]
            done = subprocess.run(
                starter,
                cwd=name,
                env=environment_without_ranks(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        if done.returncode:
            last = (Path(name) / "log").read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            raise UserError(
                f"the base of a process cannot be measured: its run failed ({' '.join(last)[:200]}); give base_gb=N"
            )
    return int(done.stdout) * 1024  # Linux reports KiB
