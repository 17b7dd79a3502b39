"""What every engine section says of its engine."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from recipes.engines import EngineSection, HFEngine, ServerEngine, VllmEngine

SECTIONS = {
    "hf": HFEngine(batch_size=7, memory_gb=2.5),
    "server": ServerEngine(name="server", url="http://127.0.0.1:9", model="m", concurrency=5),
    "vllm": VllmEngine(name="vllm", max_sequences=9, gpu_memory_share=0.4),
}
SAID = {
    # in_process, takes_checkpoints, thoughts_at_once, memory_gb, gpu_memory_share
    "hf": (True, True, 7, 2.5, None),
    "server": (False, False, 5, None, None),
    "vllm": (False, True, 9, None, 0.4),
}


@pytest.mark.parametrize("name", SECTIONS)
def test_what_a_section_says_of_its_engine(name: str) -> None:
    section: Any = SECTIONS[name]
    assert SAID[name] == (
        section.in_process,
        section.takes_checkpoints,
        section.thoughts_at_once,
        section.memory_gb,
        section.gpu_memory_share,
    )


def test_every_section_of_the_union_is_looked_at_here() -> None:
    assert {type(section) for section in SECTIONS.values()} == set(get_args(get_args(EngineSection)[0]))


@pytest.mark.parametrize("name", SECTIONS)
def test_what_is_said_of_an_engine_is_no_key_of_a_recipe(name: str) -> None:
    assert not {"in_process", "takes_checkpoints", "thoughts_at_once"} & set(SECTIONS[name].model_dump())
