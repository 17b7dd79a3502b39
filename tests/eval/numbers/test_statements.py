"""Statements, claims, and the problems that would show them."""

import math

import pytest

from eval.numbers.contrasts import Contrast
from eval.numbers.statements import Statement, above, below, either, is_shown, ratio, span, weakest


def made(estimate, half, deviation=0.5):
    return Contrast(estimate, estimate - half, estimate + half, deviation, 0.0, 0.0, 0.05)


def test_a_statement_is_shown_where_its_interval_is_beyond_the_threshold():
    assert is_shown(above("x", made(0.3, 0.2))) and not is_shown(above("x", made(0.3, 0.2), 0.15))
    assert is_shown(below("x", made(0.3, 0.2), 0.6)) and not is_shown(below("x", made(0.3, 0.2), 0.4))
    assert ratio(above("x", made(0.3, 0.2), 0.2)) == pytest.approx(2)  # half width 0.2, distance 0.1
    assert ratio(above("x", made(0.3, 0.2), 0.5)) == math.inf


def test_only_the_end_towards_the_threshold_counts():
    skewed = Contrast(0.3, 0.25, 0.9, 0.5, 1.0, 0.0, 0.05)
    assert ratio(above("x", skewed)) == pytest.approx(0.05 / 0.3) and ratio(below("x", skewed, 0.6)) == pytest.approx(2)


def test_all_statements_of_a_claim_are_needed_and_any_of_several_claims_suffices():
    near, far = above("near", made(0.3, 0.2)), above("far", made(0.1, 0.2))
    assert ratio(near + far) == ratio(far) and either(near, far) is near and weakest(near, far) is far


def test_a_text_has_the_interval_and_the_threshold():
    assert span(made(0.1, 0.05)) == "+0.100 [+0.050, +0.150]"
    assert above("gain", made(0.1, 0.05), 0.02)[0].text == "gain +0.100 [+0.050, +0.150] is above 0.02"


def test_the_number_needed_by_hand():
    # Student's interval and 0.84 standard errors must fit into the distance: (1.96 + 0.8416)² * 0.5² / 0.05² = 785, a
    # few more as Student's quantile is not the normal one
    needed = Statement("", made(0.05, 1), distance=0.05, side=0).problems_needed(20)
    assert 785 <= needed <= 790
    assert Statement("", made(0.05, 1), distance=-0.05, side=1).problems_needed(20) is None


def test_the_range_by_hand():
    # 400 problems: the distance 0.05 has an 80 % interval of 1.2816 * 0.5 / 20 = 0.032 to each side, and the number
    # goes with its inverse square: 785 * (0.05 / 0.082)² = 292, fewer than there are, and 785 * (0.05 / 0.018)² = 6,059
    needed = Statement("", made(0.05, 1), distance=0.05, side=0).problem_range(400)
    assert needed.low == 400 and 785 <= needed.likely <= 790 and needed.high == pytest.approx(6059, rel=0.02)
    assert not needed.near


def test_near_the_line_no_number_is_promised():
    at_line = Statement("", made(0.005, 1), distance=0.005, side=0).problem_range(400)  # likely 78,500
    assert at_line.near and at_line.high is None
    assert Statement("", made(-0.01, 1), distance=-0.01, side=0).problem_range(400) is None
    steady = Statement("", made(0.05, 1, 0.6), distance=0.05, side=0).problem_range(100)  # likely 11 times as many
    assert steady.near
