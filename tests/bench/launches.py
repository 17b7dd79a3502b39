"""Launches through `deepspeed` on one rank, as a user starts them, for the benchmarks of training."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

from recipes.paths import ROOT


def start(output: IO[bytes], script: str, *arguments: str) -> subprocess.Popen[bytes]:
    """`deepspeed script arguments`; what it prints goes to `output`."""
    programs = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYTHONSAFEPATH": "1",
    }  # this folder holds modules named as those of the standard library
    return subprocess.Popen(
        [str(programs / "deepspeed"), "--num_accelerators", "1", script, *arguments],
        cwd=ROOT,
        env=environment,
        stdout=output,
        stderr=output,
    )


def finish(process: subprocess.Popen[bytes], output: IO[bytes], script: str) -> int:
    """Waits; the largest resident bytes of any process of the launch. SystemExit with its output where it fails."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        output.seek(0)
        raise SystemExit(f"{script} failed:\n{output.read().decode(errors='replace')[-5000:]}")
    return usage.ru_maxrss * 1024


def launch(script: str, *arguments: str) -> int:
    """A launch to its end; its peak resident bytes."""
    with tempfile.TemporaryFile() as output:
        return finish(start(output, script, *arguments), output, script)
