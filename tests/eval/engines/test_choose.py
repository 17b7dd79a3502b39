"""The table of engines: every section of a recipe has its engine, and an unknown one is an error."""

from __future__ import annotations

import threading
from typing import get_args

import pytest

from eval.engines.choose import KINDS, open_engine, version_of
from eval.engines.completions import Call, CompletionEngine
from eval.engines.hf import HFEngine
from eval.types import Weights
from recipes.engines import EngineSection, ServerEngine
from recipes.engines import HFEngine as HFSection
from recipes.errors import UserError
from recipes.section import Section
from tests.eval.endpoints import endpoint
from tests.eval.worlds import nano, nano_protocol, nano_tokenizer
from tests.runtime.servers import CLOSED, silent_server

SERVER = ServerEngine(name="server", url=CLOSED, model="m", retries=0)


class UnknownEngine(Section):
    name: str = "hf"


def test_every_section_of_a_recipe_has_an_engine() -> None:
    assert set(KINDS) == set(get_args(get_args(EngineSection)[0]))


def test_an_unknown_section_is_an_error_whatever_its_name() -> None:
    with pytest.raises(TypeError, match=r"UnknownEngine has no engine; add it to eval\.engines\.choose\.KINDS"):
        version_of(UnknownEngine())  # type: ignore[arg-type]


def test_the_engine_in_process_has_the_limits_of_the_section() -> None:
    section = HFSection(batch_size=3, memory_gb=0.5)
    with open_engine(section, nano_protocol([8]), nano_tokenizer(), Weights(nano())) as engine:
        assert isinstance(engine, HFEngine)
        assert (engine.batch_size, engine.limit_bytes) == (3, 1 << 29)


def test_an_endpoints_thread_ends_with_the_context() -> None:
    with (
        endpoint(lambda body: (400, "")) as (url, _),
        open_engine(SERVER.changed(url=url), nano_protocol([8]), nano_tokenizer(), Weights()) as engine,
    ):
        assert isinstance(engine, CompletionEngine)
        engine.completer.start(0, Call((1,), 1, ((3,),), (), seed=0))
        assert "endpoint calls" in [thread.name for thread in threading.enumerate()]
    assert "endpoint calls" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.parametrize("address", ["silent", CLOSED])
def test_an_endpoint_that_does_not_answer_is_an_error_before_any_call(address: str) -> None:
    with silent_server() as silent:
        section = SERVER.changed(url=silent if address == "silent" else address, timeout_seconds=0.05, retries=9)
        with (
            pytest.raises(UserError, match=rf"^sweep\.engine\.url={section.url}: no server answers there \("),
            open_engine(section, nano_protocol([8]), nano_tokenizer(), Weights()),
        ):
            pass


def test_the_version_of_an_endpoint_is_the_name_of_its_model() -> None:
    assert version_of(SERVER) == "server m 1"


def test_the_version_of_the_engine_in_process_does_not_depend_on_its_limits() -> None:
    assert version_of(HFSection()) == version_of(HFSection(batch_size=1, memory_gb=1.0))
