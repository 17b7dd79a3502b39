"""Everything that is to be known of a GPU, by one command: `make gpu` (20 minutes on an H100) or `make gpu-quick` (5).

    python -m tests.bench.gpu [quick]

Runs the tests that mean something on a GPU and the benchmarks of training, sweep and memory, each part in its own
processes and within its share of the time, and writes what was measured into docs/gpu.md. Exit code 0 where all tests
passed, 1 where one failed or they were not through, 2 where there is no GPU: then nothing is run and nothing written.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import torch

from recipes.command import DONE, FAILED, USER_MISTAKE
from recipes.paths import ROOT
from runtime.lineage import commit
from tests.bench.gpu_page import TestsSeen, section, with_measured
from tests.bench.gpu_rows import Row, not_measured, read_rows_of

PAGE = ROOT / "docs" / "gpu.md"
PACKAGES = ("torch", "triton", "transformers", "trl", "peft", "deepspeed", "liger-kernel", "flash-attn", "bitsandbytes")
MOST_WORKERS = 8
FOLDERS = ("tests/train", "tests/eval", "tests/launch", "tests/prune")


@dataclass(frozen=True)
class Plan:
    """Seconds for each part, and which tests are run."""

    tests: int
    training: int
    distilling: int
    sweep: int
    memory: int
    marks: str
    words: tuple[str, ...]


FULL = Plan(tests=380, training=330, distilling=100, sweep=170, memory=210, marks="gpu or slow or not slow", words=())
QUICK = Plan(tests=90, training=70, distilling=50, sweep=50, memory=40, marks="gpu or not slow", words=("quick",))


def main(words: Sequence[str], page: Path = PAGE) -> int:
    if not torch.cuda.is_available():
        print("make gpu: no GPU is on this machine (torch.cuda.is_available() is false)", file=sys.stderr)
        return USER_MISTAKE
    plan, started = QUICK if "quick" in words else FULL, time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        put_launcher_on_path(Path(name))
        tests = run_tests(plan, Path(name) / "tests.jsonl")
    rows = [
        *part("training", "tests.bench.gpu_training", plan.training, plan.words),
        *part("distilling", "tests.bench.gpu_distilling", plan.distilling, plan.words),
        *part("sweep", "tests.bench.gpu_sweep", plan.sweep, plan.words),
        *part("memory", "tests.bench.gpu_memory", plan.memory, plan.words),
    ]
    facts = facts_of(" ".join(["make", "gpu-quick" if plan is QUICK else "gpu"]), time.monotonic() - started)
    measured = section(facts, rows, tests)
    page.write_text(with_measured(page.read_text(encoding="utf-8"), measured), encoding="utf-8")
    print(f"{measured}\n\nwritten to {page}")
    return DONE if tests.good else FAILED


def put_launcher_on_path(folder: Path) -> None:
    """A `deepspeed` for the tests where the package is found by PYTHONPATH alone, without its programs."""
    beside = Path(sys.executable).parent / "deepspeed"
    if beside.is_file() or shutil.which("deepspeed"):
        return
    program = folder / "deepspeed"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m deepspeed.launcher.runner "$@"\n', encoding="ascii")
    program.chmod(0o755)
    os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"


def part(name: str, module: str, seconds: int, words: Sequence[str]) -> list[Row]:
    """The rows of a benchmark, in a process of its own; those that it printed before it failed or its time was over."""
    if find_spec(module) is None:
        return [not_measured(name, f"there is no {module}")]
    print(f"{name}: at most {seconds} s", file=sys.stderr, flush=True)
    said, problem = run_for([sys.executable, "-m", module, str(seconds), *words], seconds + 10)
    rows = list(read_rows_of(said.splitlines()))
    return [*rows, not_measured(name, problem)] if problem or not rows else rows


def run_for(command: Sequence[str], seconds: float) -> tuple[str, str]:
    """What a command printed, and what was wrong: a code that is not 0, or no end within the time ("" for neither).

    Then it is ended with all of its process group.
    """
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, start_new_session=True)
        problem = ""
        try:
            if process.wait(seconds):
                problem = f"ended with code {process.returncode}"
        except subprocess.TimeoutExpired:
            problem = f"not through after {seconds:.0f} s"
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        out.seek(0)
        return out.read().decode(errors="replace"), problem


def run_tests(plan: Plan, results: Path) -> TestsSeen:
    """The tests of the parts that use a GPU; several at once where pytest can."""
    if find_spec("pytest") is None:
        return TestsSeen(problem="pytest is not installed")
    workers = min(MOST_WORKERS, max(1, (os.cpu_count() or 2) // 2))
    spread = ["-n", str(workers), "--dist", "loadfile"] if find_spec("xdist") else []
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "tests.bench.gpu_results",
        "-m",
        plan.marks,
        *spread,
        *FOLDERS,
    ]
    results.touch()
    os.environ |= {"TEST_RESULTS": str(results), "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    print(f"tests: at most {plan.tests} s", file=sys.stderr, flush=True)
    started = time.monotonic()
    said, problem = run_for(command, plan.tests)
    print(said, flush=True)
    seen = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    return seen_of(seen, time.monotonic() - started, problem)


def seen_of(seen: Sequence[Mapping[str, str]], seconds: float, problem: str) -> TestsSeen:
    """From outcomes as `tests.bench.gpu_results` writes them. That some failed is no problem of its own."""
    by_outcome = {kind: [one for one in seen if one["outcome"] == kind] for kind in ("passed", "failed", "skipped")}
    failed = tuple(dict.fromkeys(one["test"] for one in by_outcome["failed"]))
    return TestsSeen(
        passed=len(by_outcome["passed"]),
        failed=failed,
        skipped=dict(Counter(one["reason"] for one in by_outcome["skipped"])),
        seconds=seconds,
        problem="" if failed and problem.startswith("ended with") else problem,
    )


def facts_of(command: str, seconds: float) -> dict[str, str]:
    """Card, versions, commit and date, as they are now."""
    gpus = torch.cuda.device_count()
    total = torch.cuda.get_device_properties(0).total_memory / (1 << 30)
    return {
        "command": f"{command}, {seconds / 60:.1f} minutes",
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit() or "not known (not a git repository)",
        "card": f"{gpus} × {torch.cuda.get_device_name()}, {total:.0f} GiB",
        "cores": str(os.cpu_count()),
        "versions": f"Python {platform.python_version()}, CUDA {torch.version.cuda}, " + ", ".join(versions()),
    }


def versions() -> list[str]:
    """Of the packages that are installed."""
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
