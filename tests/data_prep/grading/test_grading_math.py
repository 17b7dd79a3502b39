"""Mathematics: what counts as equal, the two roads to a verdict, and the worker processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from data_prep.grading.grade import Grade, grade_all
from data_prep.grading.mathematics import settle, verify_math
from data_prep.grading.pool import GradingPool, usual_workers
from data_prep.grading.units import split_unit
from recipes.paths import ROOT

EQUAL = [  # (answer in the box, gold)
    (r"\frac{1}{2}", "0.5"),
    (r"\dfrac{1}{2}", r"\frac12"),
    ("x^2 + 2x + 1", "(x+1)^2"),
    (r"2\sqrt{3}", r"\sqrt{12}"),
    (r"\{1, 2\}", r"\{2,1\}"),
    ("1 and -2", "-2, 1"),
    ("x = 5", "5"),
    ("5", "x=5"),
    ("7.0", "7"),
    ("07", "7"),
    (r"\text{East}", r"\text{east}"),
    ("True", "true"),
    ("C", r"\text{(C)}"),
    (r"10\,080", r"10,\!080"),
    ("10080", "10,080"),
    (r"\left(2, \infty\right)", r"(2,\infty)"),
    (r"2 \le x \le 7", "[2,7]"),
    (r"2 < x \leq 7", "(2,7]"),
    (r"(3,\infty) \cup (-\infty,2)", r"(-\infty,2)\cup(3,\infty)"),
    (r"x \in [-2,7]", "[-2,7]"),
    (r"\begin{bmatrix} 1 \\ 2 \end{bmatrix}", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}"),
    (r"3 + \sqrt2, 3 - \sqrt2", r"3 \pm \sqrt{2}"),
    *[
        (answer, "5")
        for answer in (
            "5 cm",
            r"5\text{ cm}",
            r"5 \text{ cm}^2",
            r"5\,\mathrm{cm}",
            "5 dollars",
            "5th",
            r"5^{\mathrm{th}} \text{ grade}",
            "5°",
            r"5^\circ",
            r"\$5",
            r"5\%",
            "5 degrees",
        )
    ],
    *[("5", gold) for gold in (r"5\text{ cm}", "5 cm", r"5^\circ", r"\$5", r"5\%", r"5 \mbox{ inches}^2")],
    (r"5\text{ cm}", r"5 \mbox{ centimeters}"),
    (r"5 \text{ percent}", r"5\%"),
    ("0.5", r"50\%"),
    (r"50\%", r"\frac{1}{2}"),
]
DIFFERENT = [
    (r"[2,\infty)", r"(2,\infty)"),
    (r"2 < x < 7", "[2,7]"),
    ("(3,2)", "(2,3)"),
    ("2,3", "2,3,4"),
    ("0.333", r"\frac{1}{3}"),
    ("3.14159", r"\pi"),
    ("0.5", "50"),
    (r"5\text{ m}", r"5\text{ cm}"),
    (r"5 \text{ cents}", r"\$5"),
    ("-5", "5"),
    ("west", "east"),
    (r"\begin{pmatrix} 1 & 2 \end{pmatrix}", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}"),
    ("x", "y"),
    ("2 3", "23"),
]


@pytest.fixture(scope="module")
def pool() -> Iterator[GradingPool]:
    pool = GradingPool("math", workers=2, seconds=3)
    yield pool
    pool.close()


@pytest.mark.parametrize(
    ("answer", "gold", "equal"), [(*pair, True) for pair in EQUAL] + [(*pair, False) for pair in DIFFERENT]
)
def test_math(answer: str, gold: str, equal: bool, pool: GradingPool) -> None:
    (grade,) = grade_all([f"so \\boxed{{{answer}}}."], [gold], "math", pool)
    assert grade.correct is equal, grade
    assert grade.extracted


@pytest.mark.parametrize(("answer", "gold"), EQUAL + DIFFERENT)
def test_a_shortcut_never_changes_a_verdict(answer: str, gold: str) -> None:
    for text in (f"\\boxed{{{answer}}}", f"\\boxed{{{gold}}}"):
        quick = settle(text, gold)
        assert quick is None or quick.correct is verify_math(text, gold)[0]


@pytest.mark.parametrize(
    ("answer", "value", "unit"),
    [
        (r"5 \text{ cm}", "5", "cm"),
        ("5 square meters", "5", "m"),
        (r"\frac{1}{2} \text{ inches}", r"\frac{1}{2}", "in"),
        (r"\$ 18.50", "18.50", "dollar"),
        (r"-\$3", "-3", "dollar"),
        (r"90^{\circ}", "90", "degree"),
        (r"5\%", r"5\%", "percent"),
        ("5m", "5m", ""),
        ("2s", "2s", ""),
        ("x", "x", ""),
        (r"\text{east}", r"\text{east}", ""),
        ("$5$", "5", ""),
        ("$5", "5", "dollar"),
    ],
)
def test_units(answer: str, value: str, unit: str) -> None:
    assert split_unit(answer) == (value, unit)


def test_the_last_box_alone_is_read(pool: GradingPool) -> None:
    grades = grade_all(
        [r"\boxed{1} then \boxed{2}"] * 2 + ["answer 7", "", r"\boxed{", r"\boxed{4", r"\boxed{}"],
        ["2", "1", "7", "7", "7", "4", "7"],
        "math",
        pool,
    )
    assert [grade.correct for grade in grades] == [True, False, True, False, False, False, False]
    assert [grade.reason for grade in grades[3:]] == ["no answer"] * 4


def test_a_gold_answer_that_is_empty_is_named(pool: GradingPool) -> None:
    assert grade_all([r"\boxed{7}"], [" "], "math", pool)[0].reason == "the gold answer cannot be read"


def test_no_answers() -> None:
    assert grade_all([], [], "math") == []


@pytest.mark.slow
def test_too_slow_and_dead_are_told_apart_and_the_others_are_graded(pool: GradingPool) -> None:
    slow, good = r"\boxed{9^{9^{9^{9}}}}", r"\boxed{\frac{14}{2}}"
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
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        os.kill(pool.workers[0].process.pid, each)
    assert pool.grade([(r"\boxed{\frac{14}{2}}", "7")])[0].correct


def test_a_worker_that_cannot_start_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data_prep.grading.pool.START", "raise SystemExit(1)")
    with pytest.raises(RuntimeError, match=r"the worker process of grader=math cannot start \(exit code 1\)"):
        GradingPool("math", workers=1).grade([("1", "2")])


def test_a_worker_loads_no_torch() -> None:
    code = (
        "import sys; from data_prep.grading.worker import load; load('math'); "
        "print({'torch', 'transformers'} & {*sys.modules})"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout == "set()\n"


def test_the_shared_pool_ends_with_its_process() -> None:
    code = (
        r"from data_prep.grading.grade import grade_all; from data_prep.grading.pool import shared_pool; "
        r"(grade,) = grade_all([r'\boxed{\frac{14}{2}}'], ['7'], 'math'); "
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
