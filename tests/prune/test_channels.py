"""Which channels stay: what is refused, how it is told, and that thousands of them survive a file."""

from __future__ import annotations

from typing import Any

import pytest

from prune.channels import Channels, compose_channels, describe_channels, facts_of, from_fields, to_fields
from recipes.errors import UserError

UNEVEN = Channels(width=8, kept=((0, 1, 2, 3, 7), (5,), (0, 2, 4)))


def test_widths_are_counted_and_the_widest_is_stored() -> None:
    assert (UNEVEN.widths, UNEVEN.stored_width, UNEVEN.is_uneven) == ((5, 1, 3), 5, True)


def test_equal_widths_are_not_uneven() -> None:
    assert not Channels(width=3, kept=((0, 1), (1, 2))).is_uneven


def test_channels_are_written_as_ranges_and_read_again() -> None:
    assert to_fields(UNEVEN) == {"width": 8, "kept": ["0-3,7", "5", "0,2,4"]}
    assert from_fields(to_fields(UNEVEN)) == UNEVEN


@pytest.mark.parametrize("text", ["", "1-", "a", "1;2", "-3", "1,,2", "99999999"])
def test_what_is_not_ranges_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not channels"):
        from_fields({"width": 8, "kept": [text]})


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (((),), "one or more"),
        (((1, 0),), "rising order"),
        (((1, 1),), "rising order"),
        (((0, 4),), "layer 0 are outside 0 to 3"),
        (((0,), (-1, 2)), "layer 1 are outside 0 to 3"),
        (((0, 1, 2, 3), (0, 1, 2, 3)), "all channels of all layers stay"),
    ],
)
def test_impossible_channels_are_refused(kept: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Channels(width=4, kept=kept)


def test_a_uniform_width_in_words() -> None:
    assert describe_channels(192, [128, 128]) == "128 of 192 in every layer (66.7%)"


def test_uneven_widths_say_that_the_file_is_not_smaller() -> None:
    told = describe_channels(8, UNEVEN.widths)
    assert told.startswith(
        "1 to 5 of 8 by layer (37.5% in all); stored padded with zeros to 5, so the file is as large"
    )


def test_the_run_record_has_widths_alone() -> None:
    assert facts_of(UNEVEN) == {"width": 8, "widths": [5, 1, 3]}


FIRST = Channels(width=8, kept=((0, 2, 4, 6), (1, 3, 5, 7), (4, 5, 6, 7)))


def test_channels_of_a_second_cut_are_counted_in_the_unpruned_model() -> None:
    """The second cut drops layer 1, and keeps channels in places 1 and 3 of the first layer, 0 and 1 of the last."""
    second = Channels(width=4, kept=((1, 3), (0, 1)))
    assert compose_channels(FIRST, second, places=(0, 2)) == Channels(width=8, kept=((2, 6), (4, 5)))


def test_a_second_cut_of_layers_keeps_the_channels_of_those_that_stay() -> None:
    assert compose_channels(FIRST, None, places=(1,)) == Channels(width=8, kept=((1, 3, 5, 7),))


def test_after_a_cut_of_layers_channels_are_those_of_the_second_cut() -> None:
    assert compose_channels(None, FIRST, places=(0, 1, 2)) == FIRST
