"""How a thought is written: a name, or strings."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from recipes.data import FormatSection


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({"name": "custom"}, "name=custom needs open and close, got neither"),
        ({"name": "custom", "open": "<a>"}, "name=custom needs open and close, got open"),
        ({"name": "s1", "close": "x"}, "name=s1 sets open and close itself; leave out close"),
        ({"name": "qwen"}, "qwen3"),
    ],
)
def test_a_name_and_strings_must_go_together(section: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        FormatSection(**section)
    assert says in str(caught.value)
