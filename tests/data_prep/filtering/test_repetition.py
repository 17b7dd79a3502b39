"""Loops in text: the definition of the sweep's token loops, on words."""

from __future__ import annotations

import random

import pytest

from data_prep.filtering.repetition import ends_in_loop, last_words
from eval.looping import is_looping


@pytest.mark.parametrize(
    ("text", "rounds", "loops"),
    [
        ("a " * 12, 3, True),
        ("a " * 11, 3, False),
        ("x y z w " * 3, 3, True),
        ("x y z w " * 2 + "x y z", 3, False),
        ("one two three four five six " * 2, 3, False),
        ("one two three four five six " * 2, 2, True),
        ("a b c d " * 3 + "end", 3, False),
        ("", 3, False),
        ("a" * 100, 3, False),
        ("1." + "27" * 600, 3, True),
        ("1." + "27" * 200, 3, False),
        ("0 " * 900, 3, False),
        ("0 " * 1000, 3, True),
        ("我们" * 6, 3, True),
        ("----------" * 6, 3, False),
    ],
)
def test_worked_out_by_hand(text: str, rounds: int, loops: bool) -> None:
    assert ends_in_loop(text, rounds) is loops


@pytest.mark.parametrize(
    "row",
    [
        "0 0 0 0 0 0",
        "| blue | no | no | yes |",
        "|blue|no|",
        "blue,no,no,yes",
        "blue\tno\tyes",
        "a & b & a & b \\\\",
        "X O X O",
        "1.50; -2; 3",
        "---------- ----------",
    ],
)
def test_equal_rows_of_a_table_or_grid_are_no_loop_until_they_are_a_thousand_words(row: str) -> None:
    assert not ends_in_loop("The rows are\n" + f"{row}\n" * 15, 3)
    assert ends_in_loop("The rows are\n" + f"{row}\n" * 1000, 3)


@pytest.mark.parametrize(
    "said",
    [
        "Wait, let me check it again. ",
        "So, no, wait, it is 7.\n",
        "7 + 0 is 7, so\n",
        "**Final answer:** 7 | ok. \n",
        "The sum of |x| + |y| is 1,000,000 and f(a,b,c) too.\n",
        "Is it 0 0 0 0 0 0 0 0 0 0 0 0 0 ",
    ],
)
def test_sentences_that_repeat_are_a_loop(said: str) -> None:
    assert ends_in_loop("It is 7. " + said * 15, 3)


def test_it_agrees_with_the_definition_on_tokens() -> None:
    rng = random.Random("loops")
    found = 0
    for _ in range(500):
        sizes = rng.randint(0, 40), rng.randint(1, 70), rng.choice([0, 0, 1])
        lead, period, end = (rng.choices(range(50), k=size) for size in sizes)
        ids = lead + period * rng.randint(1, 4) + end
        found += is_looping(ids)
        assert ends_in_loop(" ".join(f"w{number}" for number in ids), 3) is is_looping(ids)
    assert 100 < found < 400


def test_only_the_end_of_a_long_text_is_looked_at() -> None:
    assert len(last_words("word " * 1_000_000, 192)) == 192
