"""`data.filters` as one types them."""

from __future__ import annotations

from collections.abc import Callable

from recipes.schema import Recipe


def test_filters_are_turned_off_with_null(load_small: Callable[..., Recipe]) -> None:
    assert load_small("data.filters.loop_rounds=null").data.filters.loop_rounds is None
