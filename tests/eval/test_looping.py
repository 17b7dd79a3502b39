"""Loops by hand."""

from __future__ import annotations

import random

import pytest

from eval.looping import LONGEST_PERIOD, LoopWatcher, is_looping

MANY = list(range(100, 300))


@pytest.mark.parametrize(
    ("ids", "looping"),
    [
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
    ],
)
def test_looping(ids: list[int], looping: bool) -> None:
    assert is_looping(ids) is looping
    assert is_looping(tuple(ids)) is looping


def sequences() -> list[list[int]]:
    """Random ones over few and many tokens, and periodic ones of every period with a slip now and then."""
    rng = random.Random(0)
    found = [[rng.randrange(kinds) for _ in range(80)] for kinds in (1, 2, 2, 2, 3, 50) for _ in range(4)]
    for period in range(1, LONGEST_PERIOD + 3):
        round_ = [rng.randrange(5) for _ in range(period)]
        tokens = [rng.randrange(5) for _ in range(rng.randrange(9))] + round_ * (4 if period > 12 else 14)
        found.append([token if rng.random() > 0.004 else 9 for token in tokens])
    return found


def test_the_watcher_sees_what_the_definition_sees_at_every_token() -> None:
    for ids in sequences():
        watcher = LoopWatcher()
        assert [watcher.add(token) for token in ids] == [is_looping(ids[: n + 1]) for n in range(len(ids))], ids


def test_a_watcher_of_a_sequence_under_way_goes_on_as_if_it_had_seen_it_grow() -> None:
    for ids in sequences()[::3]:
        for cut in (1, len(ids) // 2, len(ids) - 2):
            watcher = LoopWatcher(ids[:cut])
            assert [watcher.add(token) for token in ids[cut:]] == [
                is_looping(ids[: n + 1]) for n in range(cut, len(ids))
            ], (cut, ids)


def test_the_sequences_loop_and_do_not() -> None:
    looping = [is_looping(ids[:n]) for ids in sequences() for n in range(len(ids))]
    assert 0.1 < sum(looping) / len(looping) < 0.9
