"""Loops by hand."""

from __future__ import annotations

import pytest

from eval.looping import is_looping

MANY = list(range(100, 300))


@pytest.mark.parametrize(("ids", "looping"), [
    ([], False),
    ([5], False),
    ([5] * 11, False),
    ([5] * 12, True),
    ([9, *[5] * 12], True),
    ([*[5] * 12, 9], False),
    ([1, 2, 3, 4] * 3, True),
    ([1, 2, 3, 4] * 2 + [1, 2, 3], False),
    ([4, *[1, 2, 3, 4] * 2, 1, 2, 3], True),
    ([1, 2, 3, 4, 5] * 2 + [1, 2, 3, 4], False),
    ([1, 2, 3, 4, 5] * 3, True),
    ([7, 7, *[1, 2, 3, 4, 5] * 3], True),
    ([1, 2, 3, 4, 5] * 2 + [1, 2, 9, 4, 5], False),
    (MANY[:64] * 3, True),
    (MANY[:64] * 2, False),
    (MANY[:65] * 3, False),
    (MANY, False),
])
def test_looping(ids: list[int], looping: bool) -> None:
    assert is_looping(ids) is looping
    assert is_looping(tuple(ids)) is looping
