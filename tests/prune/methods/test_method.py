"""How many layers may go."""

from __future__ import annotations

import pytest

from prune.methods.method import check_count
from recipes.errors import UserError


@pytest.mark.parametrize("count", [1, 5])
def test_one_layer_removed_and_one_kept_is_enough(count: int) -> None:
    assert check_count(6, count) is None


@pytest.mark.parametrize("count", [0, 6, 7])
def test_removing_nothing_or_everything_is_refused(count: int) -> None:
    with pytest.raises(UserError, match=f"{count} of 6 layers would be removed; between 1 and 5 can be"):
        check_count(6, count)
