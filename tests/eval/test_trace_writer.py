"""Traces that a model writes: what is verified, what the files hold, and that interruptions change nothing."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from data_prep.ledger import Ledger
from data_prep.nano_world import MODULUS, solve_chain
from data_prep.tokens.prompts import encode
from data_prep.tokens.tokenize import label_trace
from data_prep.traces.files import read_file
from eval.engines.hf import HFEngine
from eval.trace_writer import (
    finished_thoughts,
    grade_samples,
    rates_file,
    thought_journal,
    unfinished_requests,
    write_thoughts,
    write_traces,
)
from tests.eval.generations import generation, rows
from tests.eval.worlds import nano, nano_tokenizer


@pytest.fixture(scope="module")
def unkilled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The two files of a generation that nobody disturbed, and its journal just before the end."""
    job, out = generation(), tmp_path_factory.mktemp("whole") / "out.jsonl"
    journal = thought_journal(job, out)
    write_thoughts(job, unfinished_requests(job, set()), journal, 0)
    (path,) = journal.files()
    content = path.read_bytes()
    write_traces(job, out, journal)
    return {"out": out.read_bytes(), "rates": rates_file(out).read_bytes(), "journal": content}


def test_the_result_is_read_as_any_trace_file(unkilled: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_bytes(unkilled["out"])
    traces, written = list(read_file(tmp_path / "t.jsonl", Ledger())), rows(tmp_path / "t.jsonl")
    assert [(t.id, t.question, t.thinking, t.answer, t.gold, t.thought) for t in traces] == [
        (row["id"], row["question"], row["thinking"], row["answer"], row["gold"], "whole") for row in written
    ]


def test_training_rows_are_the_tokens_that_the_model_wrote(tmp_path: Path) -> None:
    job, out = generation("samples=1", "temperature=0"), tmp_path / "out.jsonl"
    requests, journal = unfinished_requests(job, set()), thought_journal(job, out)
    write_thoughts(job, requests, journal, 0)
    write_traces(job, out, journal)
    fmt, tokenizer = job.format, nano_tokenizer()
    written = {
        thought.problem: (
            *thought.thinking_ids,
            *fmt.close_tag_ids,
            *thought.answers[-1].answer_ids,
            *encode(fmt.stop, tokenizer),
        )
        for thought in HFEngine(nano(), job.spec.protocol, 16).think(requests)
    }
    prompts = {request.problem: request.prompt_ids for request in requests}
    traces = list(read_file(out, Ledger()))
    assert len(traces) == 6
    for trace in traces:
        problem = trace.id.partition("/")[2].partition("#")[0]
        assert label_trace(trace, tokenizer, fmt).input_ids == [*prompts[problem], *written[problem]]


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "verified"),
        ({"stop": "eos"}, "thought not closed"),
        ({"stop": "budget"}, "thought not closed"),
        ({"finished": False}, "answer cut"),
        ({"looping": True}, "looping"),
        ({"answer": ""}, "empty answer"),
        ({"thinking": "#1 <think> 2"}, "mark in the text"),
        ({"answer": "answer WRONG"}, "wrong answer"),
    ],
)
def test_only_a_sound_thought_with_a_right_answer_is_verified(changes: dict[str, Any], verdict: str) -> None:
    job = generation()
    problem = job.suite.problems[0]
    thinking, answer = solve_chain(problem.question)
    row: dict[str, Any] = {
        "problem": problem.id,
        "sample": 0,
        "stop": "close",
        "thinking": thinking,
        "answer": f"answer {answer}",
        "finished": True,
        "looping": False,
        "thinking_tokens": 8,
        "answer_tokens": 2,
        **changes,
    }
    row["answer"] = row["answer"].replace("WRONG", str((int(answer) + 1) % MODULUS))
    assert [each.verdict for each in grade_samples([row], job)] == [verdict]


def test_killed_anywhere_the_files_come_out_the_same(unkilled: dict[str, bytes], tmp_path: Path) -> None:
    job, rng = generation(), random.Random(5)
    for kill, length in enumerate(rng.sample(range(len(unkilled["journal"])), 4)):
        out = tmp_path / f"{kill}" / "out.jsonl"
        out.parent.mkdir()
        journal = thought_journal(job, out)
        out.with_name("out.jsonl.journal-0.jsonl").write_bytes(unkilled["journal"][:length])
        write_thoughts(job, unfinished_requests(job, set(finished_thoughts(journal))), journal, 0)
        write_traces(job, out, journal)
        assert out.read_bytes() == unkilled["out"]
        assert rates_file(out).read_bytes() == unkilled["rates"]
        assert sorted(path.name for path in out.parent.iterdir()) == ["out.jsonl", "out.jsonl.problems.jsonl"]


def test_two_ranks_write_what_one_writes(unkilled: dict[str, bytes], tmp_path: Path) -> None:
    job, out = generation(), tmp_path / "out.jsonl"
    journal = thought_journal(job, out)
    for rank in range(2):
        write_thoughts(job, unfinished_requests(job, set())[rank::2], journal, rank)
    write_traces(job, out, journal)
    assert out.read_bytes() == unkilled["out"]
