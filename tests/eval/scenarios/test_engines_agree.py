"""One protocol, three engines: in process, behind a real endpoint, and in vLLM, the same weights think the same.

The cases for vLLM run where CHAINMEND_VLLM_PYTHON names the python of an environment that has it, or this one has.
"""

from __future__ import annotations

import copy
import dataclasses
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from pydantic import ValidationError
from transformers import PreTrainedModel

from eval.checkpoint import checkpoint_weights, find_checkpoint
from eval.engines.completions import Completer, CompletionEngine
from eval.engines.hf import HFEngine
from eval.engines.server import ServerCompleter
from eval.engines.vllm import VllmCompleter
from eval.protocol import Protocol
from eval.types import Engine, Missing, Thought, Weights
from recipes.engines import EngineSection, ServerEngine, VllmEngine
from recipes.engines import HFEngine as HFSection
from recipes.sweep import SweepSection
from tests.eval.endpoints import complete, endpoint
from tests.eval.worlds import FOLDER, SECTION, fresh_nano, nano, nano_protocol, nano_requests, nano_tokenizer, rambling

VLLM_PYTHON = os.environ.get("CHAINMEND_VLLM_PYTHON") or (sys.executable if find_spec("vllm") else "")
WITH_VLLM = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not VLLM_PYTHON, reason="no vLLM: set CHAINMEND_VLLM_PYTHON to the python of an environment that has it"
    ),
]
BUDGETS = nano_protocol((4, 8, 16, 32))
CONTROLLED = nano_protocol((0, 8, 32), stop_loops=True)
EXTENDED = nano_protocol((16, 48), extend_to=40, max_extensions=2)
SAMPLED = nano_protocol((16, 48), temperature=2.0, top_k=40)
FEW = [*nano_requests("chain", 4), *nano_requests("knowledge", 1), *nano_requests("shallow", 1)]
MANY = [*nano_requests("chain", 40), *nano_requests("knowledge", 12), *nano_requests("shallow", 12)]


def eager_for_marks() -> PreTrainedModel:
    """A model that writes think-open or think-close wherever it wants one of two digits."""
    model = fresh_nano()
    model.config.tie_word_embeddings = False
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    with torch.no_grad():
        digits = nano_tokenizer().convert_tokens_to_ids(["▁0", "▁8"])
        model.lm_head.weight[list(BUDGETS.format.banned_ids)] = 1.5 * model.lm_head.weight[digits]
    return model


def padded() -> PreTrainedModel:
    """A model with rows beyond the tokenizer, as large models have them, that are likelier than one of the digits."""
    model = eager_for_marks()
    model.resize_token_embeddings(BUDGETS.vocabulary_size + 16, mean_resizing=False)
    with torch.no_grad():
        digit = nano_tokenizer().convert_tokens_to_ids("▁2")
        model.lm_head.weight[BUDGETS.vocabulary_size :] = 1.5 * model.lm_head.weight[digit]
    return model


MODELS = {"whole": nano, "cut": rambling, "eager for marks": eager_for_marks}


def by_key(engine: Engine, requests: list[Any]) -> dict[tuple[str, int], Thought | Missing]:
    found = {(one.problem, one.sample): one for one in engine.think(requests)}
    assert len(found) == len(requests)
    return found


@contextmanager
def served(model: PreTrainedModel) -> Iterator[Completer]:
    alone = threading.Lock()

    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        with alone:
            return 200, complete(model, nano_tokenizer(), body)

    with endpoint(answer) as (url, _):
        section = ServerEngine(name="server", url=url, model="nano", concurrency=4)
        with closing(ServerCompleter(section, BUDGETS, nano_tokenizer())) as completer:
            yield completer


@contextmanager
def in_vllm(weights: Weights, protocol: Protocol = BUDGETS, max_sequences: int = 16) -> Iterator[VllmCompleter]:
    section = VllmEngine(
        name="vllm", python=Path(VLLM_PYTHON), max_sequences=max_sequences, cpu_cache_gib=1, enforce_eager=True
    )
    with closing(VllmCompleter(section, protocol, weights)) as completer:
        yield completer


def test_the_model_eager_for_marks_would_write_them_into_its_answers() -> None:
    unbound = dataclasses.replace(BUDGETS, format=dataclasses.replace(BUDGETS.format, banned_ids=(0,)))
    thoughts = by_key(HFEngine(eager_for_marks(), unbound, 16), FEW).values()
    assert any(
        set(answer.answer_ids) & set(BUDGETS.format.banned_ids)
        for thought in thoughts
        if isinstance(thought, Thought)
        for answer in thought.answers
    )


@pytest.mark.parametrize("protocol", [BUDGETS, EXTENDED, CONTROLLED], ids=["budgets", "extended", "controlled"])
@pytest.mark.parametrize("name", MODELS)
def test_an_endpoint_agrees(name: str, protocol: Protocol) -> None:
    model = MODELS[name]()
    with served(model) as completer:
        found = by_key(CompletionEngine(completer, protocol), FEW)
    assert found == by_key(HFEngine(model, protocol, 16), FEW)


@pytest.mark.parametrize("make", [pytest.param(make, marks=WITH_VLLM) for make in (*MODELS.values(), padded)])
def test_vllm_agrees(make: Callable[[], PreTrainedModel], tmp_path: Path) -> None:
    model = make()
    copy.deepcopy(model).save_pretrained(tmp_path)
    with in_vllm(Weights(folder=str(tmp_path))) as completer:
        found = {p.budgets: by_key(CompletionEngine(completer, p), MANY) for p in (BUDGETS, EXTENDED, CONTROLLED)}
    assert found == {p.budgets: by_key(HFEngine(model, p, 16), MANY) for p in (BUDGETS, EXTENDED, CONTROLLED)}


@pytest.mark.parametrize("protocol", [pytest.param(BUDGETS, marks=WITH_VLLM)])
def test_vllm_agrees_on_an_adapter(protocol: Protocol, tmp_path: Path) -> None:
    torch.manual_seed(0)
    section = peft.LoraConfig(r=4, lora_alpha=16, target_modules="all-linear", init_lora_weights=False)
    adapter = peft.get_peft_model(fresh_nano(), section)
    for parameter in (p for name, p in adapter.named_parameters() if "lora_B" in name):
        parameter.data *= 0.1
    adapter.peft_config["default"].base_model_name_or_path = FOLDER
    adapter.save_pretrained(tmp_path)
    merged = checkpoint_weights(find_checkpoint(str(tmp_path)), SECTION, HFSection()).model
    assert merged is not None
    expected = by_key(HFEngine(merged, protocol, 16), MANY)
    assert expected != by_key(HFEngine(nano(), protocol, 16), MANY)
    with in_vllm(Weights(folder=FOLDER, adapter=str(tmp_path))) as completer:
        assert by_key(CompletionEngine(completer, protocol), MANY) == expected


@pytest.mark.parametrize("protocol", [pytest.param(SAMPLED, marks=WITH_VLLM)])
def test_vllm_samples_the_same_from_the_same_seeds_however_many_prompts_come_at_once(protocol: Protocol) -> None:
    requests = nano_requests("chain", 80, samples=3)
    with in_vllm(Weights(folder=FOLDER), protocol, max_sequences=240) as completer:
        engine = CompletionEngine(completer, protocol)
        first, second = by_key(engine, requests), by_key(engine, requests)
    assert all(isinstance(one, Thought) for one in first.values())
    assert first == second
    problems = {problem for problem, _ in first}
    assert any(
        len({first[problem, sample].thinking_ids for sample in range(3)}) > 1  # type: ignore[union-attr]
        for problem in problems
    )


@pytest.mark.parametrize("protocol", [pytest.param(BUDGETS, marks=WITH_VLLM)])
def test_a_vllm_killed_in_mid_run_leaves_nothing_wrong(protocol: Protocol) -> None:
    with in_vllm(Weights(folder=FOLDER)) as completer:
        thoughts = CompletionEngine(completer, protocol).think(MANY)
        found = [next(thoughts) for _ in range(20)]
        assert completer.pid is not None
        os.kill(completer.pid, signal.SIGKILL)
        found += thoughts
    expected = by_key(HFEngine(nano(), protocol, 16), MANY)
    missing = [one for one in found if isinstance(one, Missing)]
    assert len(found) == len(MANY) and 0 < len(missing) <= 16
    assert all(one.reason.startswith("vLLM died: ") and one.reason.endswith("SIGKILL") for one in missing)
    assert all(one == expected[one.problem, one.sample] for one in found if isinstance(one, Thought))


@pytest.mark.parametrize(
    "engine",
    [HFSection(), ServerEngine(name="server", url="http://127.0.0.1:9", model="m"), VllmEngine(name="vllm")],
    ids=lambda section: section.name,
)
def test_several_greedy_samples_are_refused_for_every_engine(engine: EngineSection) -> None:
    suite = {"source": "nano", "name": "s", "family": "chain", "size": 1}
    with pytest.raises(ValidationError, match="samples=2 with temperature=0 would repeat one thought"):
        SweepSection.model_validate(
            {
                "budgets": [8],
                "every_steps": 1,
                "answer_tokens": 4,
                "suites": [suite],
                "samples": 2,
                "engine": engine.model_dump(),
            }
        )
