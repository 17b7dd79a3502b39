"""Answers that are made to do harm: none hangs a grader, ends the process, or makes another answer pay."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest

from data_prep.grading.grade import grade_all
from data_prep.grading.pool import GradingPool

SECONDS = 1.0


def hostile() -> Iterator[str]:
    """More than 200 texts, each inside a box and (for the shorter ones) plain."""
    yield from (rf"\boxed{{{text}}}" for text in _contents())
    for text in list(_contents())[::7]:
        yield f"the answer is ${text[:30_000]}$"
    yield from (
        r"\boxed{" * 3000,
        "}" * 100_000,
        r"\boxed{1}" * 5000,
        r"\boxed{1} \boxed{2",
        "$" * 50_000,
        r"$x=1$" * 5000,
        "####" * 30_000,
        "answer is " * 20_000,
        "</think>" * 10_000,
        "\n" * 200_000,
        "#### ",
        "answer:",
        "(A)" * 30_000,
    )


def _contents() -> Iterator[str]:
    generator = random.Random(7)
    for height in (3, 4, 6, 12):
        yield "9^{" * height + "9" + "}" * height
        yield "2**" * height + "9"
        yield "!".join(["9"] * height) + "!"
    for number in (10, 10**4, 10**9, 10**18):
        yield from (
            f"{number}!",
            f"{number}!!",
            f"\\binom{{{number}}}{{{number // 2}}}",
            f"2^{{{number}}}",
            f"\\sqrt[{number}]{{7}}",
            f"\\sum_{{k=1}}^{{{number}}} k^k",
            f"\\prod_{{k=1}}^{{{number}}} k",
            f"1e{number}",
            f"10^{{-{number}}}",
        )
    for depth in (10, 100, 1000, 3000):
        yield from (
            "(" * depth + "7" + ")" * depth,
            "{" * depth + "7" + "}" * depth,
            r"\sqrt{" * depth + "2" + "}" * depth,
            r"\frac{1}{" * depth + "2" + "}" * depth,
            r"\left(" * depth + "x" + r"\right)" * depth,
            "x^{" * depth + "x" + "}" * depth,
            r"\text{" * depth + "B" + "}" * depth,
            "-" * depth + "7",
            r"\sin(" * depth + "1" + ")" * depth,
            "|" * depth + "7" + "|" * depth,
        )
    for length in (5000, 20_000, 1_000_000):
        yield from (
            "9" * length,
            "0." + "3" * length,
            "1," * (length // 2),
            "x" * length,
            "x+" * (length // 2) + "1",
            " " * length,
            "(" * length,
            "\\" * length,
            "{}" * (length // 2),
            "1" + ",111" * (length // 4),
            "-" * length,
            "=" * length,
            r"\{" + ",".join(str(i) for i in range(length // 6)) + r"\}",
            r"\le" * (length // 3),
            "5 cm " * (length // 5),
        )
    yield from (
        "\x00",
        "7\x00",
        "\x00" * 1000,
        "\x1b[2J",
        "\ud800",
        "\udfff7",
        "\u202e7",
        "٧",
        "７",
        "²",
        "Ⅶ",
        "७" * 500,
        "∞",
        "−7",
        "\ufeff7",
        "7\u0301" * 300,
        "🙂" * 1000,
        "\r\n" * 999,
        "\x7f",
        "\u2028",
        "%n%s%x",
        "${jndi}",
        "$(touch x)",
        "`id`",
    )
    for rows in (2, 30, 120):
        row = " & ".join(["x"] * rows)
        yield r"\begin{pmatrix} " + r" \\ ".join([row] * rows) + r" \end{pmatrix}"
        yield r"\det \begin{vmatrix} " + r" \\ ".join([row] * rows) + r" \end{vmatrix}"
    yield from (
        r"\int x^x dx",
        r"\int_0^1 e^{e^{e^x}} dx",
        r"\lim_{x\to0} x^{x^{x^x}}",
        r"(x+1)^{100000}",
        r"(a+b+c+d+e)^{200}",
        "x^{10^{9}} - 1",
        r"\frac{1}{0}",
        r"\frac{0}{0}",
        r"\log(0)",
        r"\tan(\pi/2)",
        r"0^0",
        r"i^{i^{i}}",
        "__import__('os').system('id')",
        "lambda: 0",
        r"\input{/etc/passwd}",
        r"\def\a{\a\a}\a",
        r"\newcommand{\x}{\x}\x",
        r"1 \le 2 \le 3 \le 4",
        "x" + "=x" * 2000,
        "1/" * 3000 + "1",
        r"\begin{pmatrix}" * 300,
        r"\end{pmatrix}" * 300,
        r"\sum" * 2000,
        "_" * 5000,
        "^" * 5000,
        "x_{" * 1000,
        "a" * 40 + "!",
        "5" + r"\," * 9000,
        "1{,}" * 5000 + "000",
        r"^\circ" * 4000,
        r"\text{ cm}" * 3000,
        "<" * 9000,
        "1<x<" * 3000,
        "[" * 3000 + "1,2" + ")" * 3000,
    )
    for _ in range(40):
        signs = r"0123456789+-*/^_{}()[]\!=<>$&,.%xyzABeipi "
        yield "".join(generator.choice(signs) for _ in range(generator.choice([30, 300, 3000])))


ANSWERS = list(hostile())


def test_there_are_enough_of_them() -> None:
    assert len(set(ANSWERS)) >= 200


@pytest.mark.parametrize("grader", ["exact", "integer", "choice"])
def test_the_rules_stand_them(grader: str) -> None:
    for text in ANSWERS:
        started = time.process_time()  # of this process alone: a busy machine must not fail it
        (grade,) = grade_all([text], ["J" if grader == "choice" else "-123456789"], grader)
        assert not grade.correct and len(grade.extracted) <= 400 and grade.reason
        assert time.process_time() - started < 1, text[:80]


@pytest.mark.slow
def test_math_stands_them() -> None:
    pool = GradingPool("math", workers=2, seconds=SECONDS)
    started = time.perf_counter()
    try:
        grades = grade_all([*ANSWERS, r"\boxed{\frac{14}{2}}"], ["-123456789"] * len(ANSWERS) + ["7"], "math", pool)
    finally:
        pool.close()
    seconds = time.perf_counter() - started
    assert not any(grade.correct for grade in grades[:-1]) and grades[-1].correct
    assert all(grade.reason and len(grade.extracted) <= 400 for grade in grades)
    lost = sum(grade.reason in ("grader timeout", "grader died") for grade in grades)
    assert seconds < 10 + len(ANSWERS) * 0.1 + lost * (SECONDS + 4), (seconds, lost)


@pytest.mark.slow
def test_hostile_gold_answers_harm_as_little() -> None:
    golds = ANSWERS[::24]
    pool = GradingPool("math", workers=2, seconds=SECONDS)
    try:
        grades = grade_all([r"\boxed{\frac{14}{2}}"] * len(golds), golds, "math", pool)
    finally:
        pool.close()
    assert all(grade.reason for grade in grades)
