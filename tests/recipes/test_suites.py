"""Sections of suites: what does not go together is refused when the recipe is read."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from recipes.suites import JsonlSuite, NamedSuite


@pytest.mark.parametrize(
    ("kind", "keys", "says"),
    [
        (JsonlSuite, {"source": "jsonl", "path": "x", "grader": "math"}, "grades no text; leave out grader=math"),
        (NamedSuite, {"source": "named", "name": "math500"}, "method=likelihood: math500 has no choices"),
    ],
)
def test_likelihood_is_for_choices_alone(kind: Any, keys: dict[str, str], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        kind.model_validate({"name": "s", "method": "likelihood", **keys})
