"""`data.traces` and `data.filters` as one types them: a mixture, a filter turned off, mistakes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from recipes.schema import Recipe
from recipes.traces import FileTraces, MixtureTraces

MIXTURE = (
    "data.traces={source: mixture, size: 9, parts: ["
    "{weight: 2, traces: {source: file, path: a.parquet}}, {weight: 1, traces: {source: nano, size: 3}}]}"
)


def test_a_mixture_is_typed_in_one_argument(load_small: Callable[..., Recipe]) -> None:
    traces = load_small(MIXTURE).data.traces
    assert isinstance(traces, MixtureTraces) and isinstance(traces.parts[0].traces, FileTraces)
    assert [part.weight for part in traces.parts] == [2, 1]


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        (MIXTURE.replace("weight: 2", "weight: 0"), "data.traces.parts.0.weight=0: must be more than 0"),
        (MIXTURE.replace("source: nano", "source: mixture"), "allowed: nano, ways, jsonl, file, hub"),
        (MIXTURE.replace("size: 9", "size: null, when_exhausted: repeat"), "repeat never ends by itself; set size"),
        ("data.traces={source: fle, path: a}", "did you mean file?"),
        ("data.traces={source: file, path: a, format: s1k11}", "did you mean s1k_1_1?"),
        ("data.filters.max_foreign_letters=2", "must be at most 1"),
        ("data.on_error=ignore", "allowed: stop, skip"),
        ("data.formatting=alpaca", "did you mean data.traces.format?"),
    ],
)
def test_a_mistake_is_told(refusal: Callable[..., str], argument: str, says: str) -> None:
    assert says in refusal(argument)
