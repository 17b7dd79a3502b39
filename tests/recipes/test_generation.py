"""Traces that the unpruned model writes: what goes together."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from recipes.engines import HFEngine
from recipes.generation import GenerateTraces

PROBLEMS = {"source": "nano", "name": "chain", "family": "chain", "size": 4}


def test_an_engine_without_a_name_is_the_one_in_process() -> None:
    section = GenerateTraces(source="generate", problems=PROBLEMS, engine={"batch_size": 3})
    assert section.engine == HFEngine(batch_size=3)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"temperature": 0}, "samples=4 with temperature=0 would repeat one thought"),
        ({"problems": {"source": "named", "name": "mmlu", "method": "likelihood"}}, "writes no thoughts"),
    ],
    ids=["greedy", "likelihood"],
)
def test_what_would_write_nothing_new_is_refused(fields: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        GenerateTraces(**{"source": "generate", "problems": PROBLEMS, **fields})


def test_one_greedy_thought_a_problem_is_allowed() -> None:
    assert GenerateTraces(source="generate", problems=PROBLEMS, samples=1, temperature=0).samples == 1
