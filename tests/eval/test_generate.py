"""The small reasoner writes traces: what is kept is right and trains as it was written; kills change nothing."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from data_prep.ledger import Ledger
from data_prep.nano_world import MODULUS, is_held_out, solve_chain
from data_prep.tokens.prompts import encode
from data_prep.tokens.tokenize import label_trace
from data_prep.traces.files import read_file
from eval.engines.hf import HFEngine
from eval.generate import main, recipe_keys
from eval.trace_writer import (
    Generation,
    finished_thoughts,
    grade_samples,
    make_generation,
    rates_file,
    thought_journal,
    unfinished_requests,
    write_thoughts,
    write_traces,
)
from recipes.errors import UserError
from recipes.loader import load_recipe
from recipes.paths import ROOT
from tests.eval.endpoints import complete, endpoint
from tests.eval.worlds import fresh_nano, nano, nano_tokenizer

CHAINS = "{source: nano, name: c, family: chain, size: 6, part: training}"
SMALL = ("thinking_tokens=128", "answer_tokens=8", "seed=0")


def command(out: Path, *changes: str) -> list[str]:
    """The command's arguments for six chains, three samples each."""
    values = dict(each.split("=", 1) for each in (f"problems={CHAINS}", "samples=3", *SMALL, f"out={out}", *changes))
    return ["recipe=lora_recovery.yaml", *(f"{key}={value}" for key, value in values.items())]


def generation(*changes: str) -> Generation:
    own = dict(each.split("=", 1) for each in (f"problems={CHAINS}", "samples=3", *SMALL, *changes))
    return make_generation(
        load_recipe(["recipe=lora_recovery.yaml", "data.traces.source=generate", *recipe_keys(own)]).recipe
    )


def rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """The model is too small to share out; threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def unkilled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The two files of a generation that nobody disturbed, and its journal just before the end."""
    made, out = generation(), tmp_path_factory.mktemp("whole") / "out.jsonl"
    journal = thought_journal(made, out)
    write_thoughts(made, unfinished_requests(made, set()), journal, 0)
    (path,) = journal.files()
    content = path.read_bytes()
    write_traces(made, out, journal)
    return {"out": out.read_bytes(), "rates": rates_file(out).read_bytes(), "journal": content}


def test_kept_traces_are_right_and_say_where_they_come_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.jsonl"
    main(command(out, "keep=all"))
    kept = rows(out)
    rates = {row["problem"]: row for row in rows(rates_file(out))}
    assert len(rates) == 6 and {row["problem_id"] for row in kept} <= rates.keys()
    places = [(list(rates).index(row["problem_id"]), row["sample"]) for row in kept]
    assert list(rates) == [problem.id for problem in generation().suite.problems] and places == sorted(places)
    for row in kept:
        assert row["answer"] == f"answer {solve_chain(row['question'])[1]}" == f"answer {row['gold']}"
        assert not is_held_out(row["question"])
        assert row["pass_rate"] == rates[row["problem_id"]]["pass_rate"] > 0
        assert row["lineage"]["model"] == "data_prep/nano_model" and row["lineage"]["seed"] == 0
        assert row["lineage"]["fingerprint"].startswith("sha256:") and len(row["lineage"]["protocol"]) == 16
    assert "6 problems, 18 thoughts" in capsys.readouterr().out
    assert sum(row["kept"] for row in rates.values()) == len(kept)


def test_the_result_is_read_as_any_trace_file(unkilled: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_bytes(unkilled["out"])
    traces, written = list(read_file(tmp_path / "t.jsonl", Ledger())), rows(tmp_path / "t.jsonl")
    assert [(t.id, t.question, t.thinking, t.answer, t.gold, t.thought) for t in traces] == [
        (row["id"], row["question"], row["thinking"], row["answer"], row["gold"], "whole") for row in written
    ]


def test_training_rows_are_the_tokens_that_the_model_wrote(tmp_path: Path) -> None:
    made, out = generation("samples=1", "temperature=0"), tmp_path / "out.jsonl"
    requests, journal = unfinished_requests(made, set()), thought_journal(made, out)
    write_thoughts(made, requests, journal, 0)
    write_traces(made, out, journal)
    fmt, tokenizer = made.format, nano_tokenizer()
    written = {
        thought.problem: (
            *thought.thinking_ids,
            *fmt.close_mark_ids,
            *thought.answers[-1].answer_ids,
            *encode(fmt.stop, tokenizer),
        )
        for thought in HFEngine(nano(), made.spec.protocol, 16).think(requests)
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
    made = generation()
    problem = made.suite.problems[0]
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
    assert [each.verdict for each in grade_samples([row], made)] == [verdict]


def test_a_thought_that_does_not_end_is_not_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.jsonl"
    main(command(out, "thinking_tokens=4"))
    assert rows(out) == []
    assert "18  thought not closed" in capsys.readouterr().out


def test_an_answer_that_is_cut_is_not_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.jsonl"
    main(command(out, "answer_tokens=1", "samples=1", "temperature=0"))
    assert rows(out) == []
    assert "6  answer cut" in capsys.readouterr().out


def test_a_model_that_goes_round_in_circles_teaches_nothing_by_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fresh_nano(layers=3).save_pretrained(tmp_path / "m")
    nano_tokenizer().save_pretrained(tmp_path / "m")
    out = tmp_path / "out.jsonl"
    main(command(out, f"model.unpruned={tmp_path / 'm'}", "samples=1", "temperature=0"))
    loops = sum(row["verdicts"].get("looping", 0) for row in rows(rates_file(out)))
    assert loops > 0 and f"{loops}  looping" in capsys.readouterr().out
    assert all(row["answer"] == f"answer {solve_chain(row['question'])[1]}" for row in rows(out))


def test_killed_anywhere_the_files_come_out_the_same(unkilled: dict[str, bytes], tmp_path: Path) -> None:
    made, rng = generation(), random.Random(5)
    for kill, length in enumerate(rng.sample(range(len(unkilled["journal"])), 4)):
        out = tmp_path / f"{kill}" / "out.jsonl"
        out.parent.mkdir()
        journal = thought_journal(made, out)
        out.with_name("out.jsonl.journal-0.jsonl").write_bytes(unkilled["journal"][:length])
        write_thoughts(made, unfinished_requests(made, set(finished_thoughts(journal))), journal, 0)
        write_traces(made, out, journal)
        assert out.read_bytes() == unkilled["out"]
        assert rates_file(out).read_bytes() == unkilled["rates"]
        assert sorted(path.name for path in out.parent.iterdir()) == ["out.jsonl", "out.jsonl.problems.jsonl"]


def test_two_ranks_write_what_one_writes(unkilled: dict[str, bytes], tmp_path: Path) -> None:
    made, out = generation(), tmp_path / "out.jsonl"
    journal = thought_journal(made, out)
    for rank in range(2):
        write_thoughts(made, unfinished_requests(made, set())[rank::2], journal, rank)
    write_traces(made, out, journal)
    assert out.read_bytes() == unkilled["out"]


@pytest.mark.slow
def test_killed_for_real_three_times_the_files_come_out_the_same(unkilled: dict[str, bytes], tmp_path: Path) -> None:
    out, rng = tmp_path / "out.jsonl", random.Random(7)
    journal = tmp_path / "out.jsonl.journal-0.jsonl"
    arguments = [sys.executable, "-m", "eval.generate", *command(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    before = 0
    for _ in range(3):
        wanted = before + rng.randrange(1, 1500)
        process = subprocess.Popen(
            arguments, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while process.poll() is None and (not journal.is_file() or journal.stat().st_size < wanted):
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.01)
        process.kill()
        process.wait()
        before = journal.stat().st_size if journal.is_file() else before
    if not out.exists():
        subprocess.run(arguments, cwd=ROOT, env=environment, check=True, capture_output=True)
    assert out.read_bytes() == unkilled["out"]
    assert rates_file(out).read_bytes() == unkilled["rates"]


def test_an_endpoint_that_fails_loses_nothing_that_is_done(tmp_path: Path) -> None:
    first_prompt = list(unfinished_requests(generation("samples=1", "temperature=0"), set())[0].prompt_ids)
    broken, model = {"yes": True}, nano()  # loaded here, since transformers cannot load in several threads at once

    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        if broken["yes"] and body["prompt"] == first_prompt:
            return 400, "no"
        return 200, complete(model, nano_tokenizer(), body)

    with endpoint(answer) as (url, bodies):
        engine = f"engine={{name: server, url: '{url}', model: nano, retries: 0}}"
        arguments = command(tmp_path / "server.jsonl", "samples=1", "temperature=0", engine)
        with pytest.raises(UserError, match="1 of 6 thoughts failed"):
            main(arguments)
        assert not (tmp_path / "server.jsonl").exists()
        broken["yes"], before = False, len(bodies)
        main(arguments)
        assert len(bodies) - before == 2  # the thought that was missing, and its answer
    main(command(tmp_path / "hf.jsonl", "samples=1", "temperature=0"))
    texts = [
        [(row["question"], row["thinking"], row["answer"]) for row in rows(tmp_path / f"{name}.jsonl")]
        for name in ("server", "hf")
    ]
    assert texts[0] == texts[1] != []


def test_the_seed_of_the_recipes_own_traces_is_not_that_of_the_sampling(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("extends: lora_recovery.yaml\ndata: {traces: {source: nano, size: 8, seed: 5}}\n", encoding="utf-8")
    made = [
        load_recipe([f"recipe={own}", "data.traces.source=generate", *recipe_keys({"problems": CHAINS, **keys})])
        for keys in ({}, {"seed": "3"})
    ]
    assert [each.recipe.data.traces.model_dump()["sampling_seed"] for each in made] == [0, 3]


def test_another_generation_is_not_mixed_in(tmp_path: Path) -> None:
    made, out = generation(), tmp_path / "out.jsonl"
    write_thoughts(made, unfinished_requests(made, set())[:2], thought_journal(made, out), 0)
    with pytest.raises(UserError, match=r"seed \(0 there, 3 now\)"):
        main(command(out, "seed=3"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["temperature=0"], "would repeat one thought"),
        (["samples=0"], "must be at least 1"),
        (["keep=longest"], "allowed: random, shortest, all"),
        (["thinking_tokens=4096"], "data.traces.thinking_tokens: 4096 thinking tokens"),
        (["problems=nowhere"], "known benchmark"),
        (["problems={source: named, name: mmlu, method: likelihood}"], "method=likelihood writes no thoughts"),
        (["out="], "out=FILE is missing"),
        (["out=/nowhere/at/all.jsonl"], "there is no folder"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, changes: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        main(command(tmp_path / "out.jsonl", *changes))


def test_problems_without_answers_are_refused(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"problem": "start 1 #1 +1 ?"}\n', encoding="utf-8")
    with pytest.raises(UserError, match="every problem needs its gold answer"):
        main(command(tmp_path / "out.jsonl", f"problems={tmp_path / 'p.jsonl'}"))


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match="is there already"):
        main(command(tmp_path / "out.jsonl"))
    assert (tmp_path / "out.jsonl").read_text(encoding="utf-8") == "mine"
