"""Seconds per token: which steps count, and what several suites give together."""

import pytest

from eval.engines.pace import Pace


def pace(*steps: tuple[float, int, float]) -> Pace:
    found = Pace()
    for step in steps:
        found.add(*step)
    return found


def test_it_is_the_lower_decile_over_steps_so_that_slow_ones_do_not_count():
    seconds = [30.0, 2.0, *(2.0 + k / 10 for k in range(1, 10))]  # eleven steps: 2.0, 2.1 … 2.9, and one to warm up
    assert pace(*((each, 10, 1.0) for each in seconds)).seconds_per_token == pytest.approx(0.21)


def test_a_step_of_a_few_last_thoughts_does_not_count():
    assert pace((2.0, 10, 1.0), (1.0, 1, 0.1), (1.0, 1, 0.1)).seconds_per_token == pytest.approx(0.2)


def test_a_step_in_which_no_thought_grew_does_not_count():
    assert pace((2.0, 10, 1.0), (2.0, 0, 1.0)).seconds_per_token == pytest.approx(0.2)


def test_nothing_decoded_has_no_pace():
    assert pace().seconds_per_token is None


def test_suites_count_step_by_step():
    both = pace((1.0, 10, 1.0))
    both.include(pace(*[(3.0, 10, 1.0)] * 10))
    assert both.seconds_per_token == pytest.approx(0.3)
