"""Worker processes that are too slow, die, are signalled or cannot start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from data_prep.grading.grade import Grade, grade_all
from data_prep.grading.pool import GradingPool, usual_workers
from recipes.paths import ROOT


@pytest.mark.slow
def test_too_slow_and_dead_are_told_apart_and_the_others_are_graded(pool: GradingPool) -> None:
    slow, good = r"\boxed{9^{9^{9^{9}}}}", r"\boxed{\sqrt{49}}"
    started = time.perf_counter()
    grades = grade_all([good, slow, good, slow, good], ["7", "3", "7", "3", "8"], "math", pool)
    assert grades[1] == grades[3] == Grade(False, "9^{9^{9^{9}}}", "grader timeout")
    assert [grade.correct for grade in grades] == [True, False, True, False, False]
    assert time.perf_counter() - started < 30


@pytest.mark.slow
def test_workers_are_kept_and_a_dead_one_is_replaced(pool: GradingPool) -> None:
    answer = (r"\boxed{\frac{14}{2}}", "7")
    pool.grade([answer] * 2)
    before = [worker.process.pid for worker in pool.workers]
    assert pool.grade([answer] * 4) == [Grade(True, r"\frac{14}{2}", "equal")] * 4
    assert [worker.process.pid for worker in pool.workers] == before
    os.kill(before[0], signal.SIGKILL)
    reasons = [grade.reason for grade in pool.grade([answer] * 6)]
    assert sorted(reasons) == ["equal"] * 5 + ["grader died"]
    assert len({worker.process.pid for worker in pool.workers} | set(before)) == 3


@pytest.mark.slow
def test_a_worker_beyond_its_memory_dies_alone() -> None:
    pool = GradingPool("math", workers=1, seconds=20, limit_bytes=300 << 20)
    try:
        grades = pool.grade([(r"\boxed{2^{10000000000}+x}", "7 + x"), (r"\boxed{\frac{14}{2}}", "7")])
    finally:
        pool.close()
    assert not grades[0].correct and grades[0].reason != "grader timeout"
    assert grades[1].correct


def test_signals_for_the_run_do_not_reach_the_workers(pool: GradingPool) -> None:
    pool.grade([(r"\boxed{\frac{14}{2}}", "7")])
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        os.kill(pool.workers[0].process.pid, number)
    assert pool.grade([(r"\boxed{\frac{14}{2}}", "7")])[0].correct


def test_a_worker_that_cannot_start_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data_prep.grading.pool.START", "raise SystemExit(1)")
    with pytest.raises(RuntimeError, match=r"the worker process of grader=math cannot start \(exit code 1\)"):
        GradingPool("math", workers=1).grade([("1", "2")])


def test_the_shared_pool_ends_with_its_process() -> None:
    code = (
        r"from data_prep.grading.grade import grade_all; from data_prep.grading.pool import shared_pool; "
        r"(grade,) = grade_all([r'\boxed{\sqrt{49}}'], ['7'], 'math'); "
        r"print(grade.correct, shared_pool('math').workers[0].process.pid)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    correct, pid = done.stdout.split()
    assert (correct, done.stderr) == ("True", "")
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def test_workers_share_the_cores_among_the_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)))
    assert usual_workers() == 8
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert usual_workers() == 4
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "64")
    assert usual_workers() == 1
