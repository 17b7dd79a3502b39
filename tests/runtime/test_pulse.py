"""Signs of life, and where work may be left."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runtime.pulse import PULSE, ToLeave, beat, may_leave


@pytest.fixture(autouse=True)
def asked() -> Iterator[None]:
    """This process was asked to stop."""
    PULSE.asked = True
    yield
    PULSE.asked = False


def test_work_that_may_be_left_is_left_at_a_beat() -> None:
    with pytest.raises(ToLeave), may_leave():
        beat()


def test_other_work_goes_on() -> None:
    beat()


def test_after_an_inner_block_the_outer_one_may_still_be_left() -> None:
    with may_leave():
        with may_leave():
            pass
        with pytest.raises(ToLeave):
            beat()


def test_after_the_outer_block_nothing_is_left() -> None:
    with may_leave(), may_leave():
        pass
    beat()
