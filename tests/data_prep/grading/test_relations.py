"""Inequalities as sets."""

from __future__ import annotations

import pytest

from data_prep.grading.relations import as_set


@pytest.mark.parametrize(
    ("answer", "interval"),
    [
        (r"x \ge 6", r"[6,\infty)"),
        ("6 > t", r"(-\infty,6)"),
        (r"-2 \le y < 5", "[-2,5)"),
        (r"5 > y \ge -2", "[-2,5)"),
        (r"x<-3 \text{ or } x>8", r"(-\infty,-3) \cup (8,\infty)"),
        (r"x>2 \text{ and } x \le 9", "(2,9]"),
        (r"x \ne 7", r"(-\infty,7) \cup (7,\infty)"),
        (r"\{x \mid x > 1\}", r"(1,\infty)"),
        (r"x \in [2,3]", "[2,3]"),
        (r"\theta < \frac{\pi}{2}", r"(-\infty,\frac{\pi}{2})"),
    ],
)
def test_one_unknown(answer: str, interval: str) -> None:
    assert as_set(answer)[0] == interval


@pytest.mark.parametrize(
    "answer",
    [
        "x=4",
        "2x>4",
        "x<y<z<4",
        "x>1 or y>2",
        "1<x>3",
        "x>1 and x>2",
        "x > x^2",
        "[4,5]",
        r"x \in \{1 \mid 2 < 3\}",
    ],
)
def test_what_is_no_inequality_in_one_unknown_stays(answer: str) -> None:
    assert as_set(answer) == (answer, "")


def test_the_unknown_is_named() -> None:
    assert as_set("X > 2")[1] == "x"
