"""Workers for mathematics, shared by the tests of a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from data_prep.grading.pool import GradingPool


@pytest.fixture(scope="module")
def pool() -> Iterator[GradingPool]:
    pool = GradingPool("math", workers=2, seconds=3)
    yield pool
    pool.close()
