"""The vLLM engine's own part, with a stand-in for vLLM: a process that starts, dies, falls silent, and is ended."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from data_prep.tokens.marks import exactly
from eval.engines import vllm
from eval.engines.completions import CompletionEngine
from eval.engines.vllm import VllmCompleter, lora_rank, vllm_version
from eval.types import Missing, Request, Thought, Weights
from recipes.engines import VllmEngine
from recipes.errors import UserError
from tests.eval.processes import is_running
from tests.eval.scripted import FORMAT, OPEN, drive, make_protocol, summing
from tests.eval.vllm_stand_in import VERSION, install

PROTOCOL = make_protocol([2, 5, 9], answer_tokens=2)
REQUESTS = [Request(f"p{i}", 0, (20 + i, OPEN)) for i in range(6)]
MARK = drive(summing, PROTOCOL, REQUESTS[5]).thinking_ids[2:4]  # two tokens that come in a thought


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PYTHONPATH", str(install(tmp_path)))
    vllm._version_at.cache_clear()
    yield
    vllm._version_at.cache_clear()


def completer(protocol: Any = PROTOCOL, **changes: Any) -> VllmCompleter:
    section = VllmEngine(name="vllm", **{"max_sequences": 3, **changes})
    return VllmCompleter(section, protocol, Weights(folder="somewhere"))


def think(protocol: Any = PROTOCOL, requests: list[Request] = REQUESTS, **changes: Any) -> list[Thought | Missing]:
    with closing(completer(protocol, **changes)) as calls:
        return sorted(CompletionEngine(calls, protocol).think(requests), key=lambda one: one.problem)


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize(
    "protocol",
    [
        PROTOCOL,
        make_protocol([9], extend_to=6, max_extensions=2),
        make_protocol(
            [9], dataclasses.replace(FORMAT, close_mark=exactly(MARK), forced_close_ids=MARK, own_close_ids=MARK)
        ),
    ],
    ids=["budgets", "extended", "a mark of two tokens"],
)
def test_thoughts_are_those_of_single_steps(protocol: Any) -> None:
    assert think(protocol) == [drive(summing, protocol, request) for request in REQUESTS]


@pytest.mark.usefixtures("stand_in")
def test_the_version_is_that_of_the_interpreter() -> None:
    assert vllm_version(VllmEngine(name="vllm")) == f"vllm {VERSION}"


@pytest.mark.usefixtures("stand_in")
def test_a_refused_call_loses_its_own_thought_alone() -> None:
    long = Request("long", 0, (20,) * 60)
    found = think(requests=[*REQUESTS[:2], long])
    assert found[0] == Missing("long", 0, "vLLM refused the call: 60 tokens and 10 to come exceed 64")
    assert found[1:] == [drive(summing, PROTOCOL, request) for request in REQUESTS[:2]]


@pytest.mark.usefixtures("stand_in")
def test_where_the_successor_of_a_dead_process_dies_too_all_is_missing_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STAND_IN_DIES_AFTER", "1")
    found = think(make_protocol([9], answer_tokens=2))
    assert [
        one.problem
        for one in found
        if isinstance(one, Missing)
        and one.reason.startswith("vLLM died: ")
        and one.reason.endswith("out of memory | SIGKILL")
    ] == [request.problem for request in REQUESTS]


@pytest.mark.usefixtures("stand_in")
def test_a_process_that_dies_once_costs_only_what_it_had_in_hand() -> None:
    with closing(completer()) as calls:
        thoughts = CompletionEngine(calls, PROTOCOL).think(REQUESTS)
        found = [next(thoughts)]
        assert calls.pid is not None
        os.kill(calls.pid, 9)
        found += thoughts
    lost = [one for one in found if isinstance(one, Missing)]
    whole = {one.problem: one for one in found if isinstance(one, Thought)}
    assert len(found) == 6 and 0 < len(lost) <= 3 and all("SIGKILL" in one.reason for one in lost)
    assert whole == {r.problem: drive(summing, PROTOCOL, r) for r in REQUESTS if r.problem in whole}


@pytest.mark.usefixtures("stand_in")
def test_a_silent_process_is_taken_for_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN_SLEEPS_AFTER", "2")
    found = think(requests=REQUESTS[:1], silent_seconds=0.3)
    assert found == [Missing("p0", 0, "vLLM died: it said nothing for 0.3 s")]


@pytest.mark.usefixtures("stand_in")
def test_leaving_early_ends_the_process() -> None:
    calls = completer()
    thoughts = CompletionEngine(calls, PROTOCOL).think(REQUESTS)
    next(thoughts)
    pid = calls.pid
    thoughts.close()  # type: ignore[attr-defined]
    assert pid is not None and not is_running(pid)


@pytest.mark.usefixtures("stand_in")
def test_a_start_that_fails_gives_vllms_own_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN_REFUSES_TO_START", "head_dim=16 is not supported")
    with pytest.raises(
        UserError,
        match=rf"^sweep\.engine: vllm {VERSION} did not start on somewhere: "
        r"ValueError: head_dim=16 is not supported$",
    ):
        completer()


@pytest.mark.usefixtures("stand_in")
def test_a_first_step_that_kills_fails_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN_DIES_AFTER", "0")
    with pytest.raises(UserError, match=r"did not start on somewhere: out of memory \| SIGKILL"):
        completer()


@pytest.mark.usefixtures("stand_in")
def test_a_start_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN_SLEEPS_AFTER", "0")
    with pytest.raises(UserError, match=r"was not ready after sweep\.engine\.start_seconds=0\.5"):
        completer(start_seconds=0.5)


def test_an_interpreter_without_vllm_is_named_before_anything_starts(tmp_path: Path) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys._base_executable} -I -S "$@"\n')  # type: ignore[attr-defined]
    bare.chmod(0o755)
    with pytest.raises(UserError, match=r"sweep\.engine\.python=.*vLLM is not installed there\. Make an environment"):
        completer(python=bare)


def test_weights_that_lie_in_no_folder_are_refused() -> None:
    with pytest.raises(UserError, match="the weights in training have none; use sweep.engine.name=hf"):
        VllmCompleter(VllmEngine(name="vllm"), PROTOCOL, Weights())


def test_a_path_without_a_python_is_named() -> None:
    with pytest.raises(UserError, match=r"sweep\.engine\.python=/nowhere/python: no python runs there"):
        completer(python="/nowhere/python")


@pytest.mark.parametrize(
    ("config", "rank"),
    [({"r": 1}, 8), ({"r": 8}, 8), ({"r": 9}, 16), ({"r": 8, "rank_pattern": {"q_proj": 65}}, 128), ({"r": 512}, 512)],
)
def test_the_rank_of_an_adapter_is_rounded_up_to_one_that_vllm_knows(
    tmp_path: Path, config: dict[str, Any], rank: int
) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    assert lora_rank(tmp_path) == rank


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"r": 513}, "rank 513, vLLM takes at most 512"),
        ({"r": 8, "use_dora": True}, "vLLM cannot run the DoRA adapter"),
    ],
)
def test_an_adapter_that_vllm_cannot_run_is_refused_with_a_way_out(
    tmp_path: Path, config: dict[str, Any], words: str
) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=f"{words}.*export the run"):
        lora_rank(tmp_path)
