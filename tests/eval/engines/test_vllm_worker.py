"""The worker script in a real process, with a stand-in for vLLM: the messages that it answers with."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eval.engines.vllm import WORKER
from eval.engines.worker_process import WorkerProcess
from tests.eval.processes import has_ended
from tests.eval.scripted import CLOSE, EOS, LINE, summing
from tests.eval.vllm_stand_in import VERSION, install

SETTINGS = {
    "llm": {"model": "somewhere", "max_num_seqs": 4},
    "sampling": {"temperature": 0.0, "top_p": 1.0, "top_k": -1, "min_p": 0.0},
    "vocabulary_size": 112,
    "adapter": None,
}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(install(tmp_path))}


@pytest.fixture
def worker(environment: dict[str, str]) -> Iterator[WorkerProcess]:
    process = WorkerProcess([sys.executable, str(WORKER)], environment)
    process.tell(SETTINGS)
    assert process.hear(60) == {"ready": VERSION}
    yield process
    process.close()


def call(**changes: Any) -> dict[str, Any]:
    return {"key": 5, "prompt": [1, 2, 20], "max_tokens": 6, "ends": [[[EOS]]], "banned": [], "seed": 0, **changes}


def written(prompt: list[int], banned: frozenset[int] = frozenset(), most: int = 6) -> list[int]:
    """The tokens of the stand-in's model, up to and with an end of sequence."""
    ids: list[int] = []
    while len(ids) < most and EOS not in ids:
        ids.append(summing((*prompt, *ids), banned, 0.0))
    return ids


def test_a_call_is_answered_with_its_key_and_tokens(worker: WorkerProcess) -> None:
    worker.tell(call())
    assert worker.hear(60) == {"key": 5, "ids": written([1, 2, 20])}


def test_calls_run_side_by_side(worker: WorkerProcess) -> None:
    for key in (1, 2):
        worker.tell(call(key=key, prompt=[1, 2, 20 + key]))
    replies = [worker.hear(60) for _ in range(2)]
    assert sorted(replies, key=str) == [{"key": key, "ids": written([1, 2, 20 + key])} for key in (1, 2)]


def test_an_end_of_several_tokens_ends_a_call_after_its_last(worker: WorkerProcess) -> None:
    ids = written([1, 2, 20])
    worker.tell(call(ends=[[[EOS]], [[LINE, ids[1]], [ids[2]]]]))
    assert worker.hear(60) == {"key": 5, "ids": ids[:3]}


def test_banned_tokens_do_not_come(worker: WorkerProcess) -> None:
    prompt = next([1, 2, n] for n in range(20, 60) if CLOSE in written([1, 2, n]))
    worker.tell(call(prompt=prompt, banned=[CLOSE]))
    ids = written(prompt, frozenset({CLOSE}))
    assert LINE in ids and worker.hear(60) == {"key": 5, "ids": ids}


def test_a_call_that_vllm_refuses_fails_alone(worker: WorkerProcess) -> None:
    worker.tell(call(prompt=[20] * 60))
    worker.tell(call(key=6))
    assert [worker.hear(60) for _ in range(2)] == [
        {"key": 5, "failure": "vLLM refused the call: 60 tokens and 6 to come exceed 64"},
        {"key": 6, "ids": written([1, 2, 20])},
    ]


def test_a_start_that_fails_gives_its_reason(environment: dict[str, str]) -> None:
    process = WorkerProcess([sys.executable, str(WORKER)], {**environment, "STAND_IN_REFUSES_TO_START": "no memory"})
    process.tell(SETTINGS)
    assert process.hear(60) == {"failed": "ValueError: no memory"}
    process.close()


def test_the_process_ends_when_it_is_told_to(worker: WorkerProcess) -> None:
    worker.tell({"quit": True})
    assert has_ended(worker.pid)
