"""Sections of suites: what does not go together is refused when the recipe is read."""

from __future__ import annotations

import json
from collections.abc import Callable
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


@pytest.mark.parametrize("name", ["../../outside", "/tmp/outside", "a\nb", "NUL", ""])
def test_a_name_that_is_no_name_is_refused_by_every_kind_of_suite(refusal: Callable[..., str], name: str) -> None:
    kinds = [
        "{source: nano, name: NAME, family: chain, size: 4}",
        "{source: jsonl, name: NAME, path: x}",
        "{source: hub, name: NAME, id: a/b}",
        "{source: reasoning_gym, name: NAME, task: chain_sum, size: 4}",
    ]
    messages = [refusal(f"sweep.suites=[{kind.replace('NAME', json.dumps(name))}]") for kind in kinds]
    assert all(message.startswith(f"sweep.suites.0.name: {name!r} ") for message in messages)
