"""`python -m eval.generate`: kept traces are right, what fails is counted, and mistakes are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from data_prep.nano_world import is_held_out, solve_chain
from eval.generate import main, recipe_keys
from eval.trace_writer import rates_file, thought_journal, unfinished_requests, write_thoughts
from recipes.errors import UserError
from recipes.loader import load_recipe
from tests.eval.endpoints import complete, endpoint
from tests.eval.generations import CHAINS, command, generation, rows
from tests.eval.worlds import fresh_nano, nano, nano_tokenizer


def test_kept_traces_are_right_and_carry_their_lineage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_thoughts_that_loop_are_not_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fresh_nano(layers=3).save_pretrained(tmp_path / "m")
    nano_tokenizer().save_pretrained(tmp_path / "m")
    out = tmp_path / "out.jsonl"
    main(command(out, f"model.unpruned={tmp_path / 'm'}", "samples=1", "temperature=0"))
    loops = sum(row["verdicts"].get("looping", 0) for row in rows(rates_file(out)))
    assert loops > 0 and f"{loops}  looping" in capsys.readouterr().out
    assert all(row["answer"] == f"answer {solve_chain(row['question'])[1]}" for row in rows(out))


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
    job, out = generation(), tmp_path / "out.jsonl"
    write_thoughts(job, unfinished_requests(job, set())[:2], thought_journal(job, out), 0)
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
    with pytest.raises(UserError, match="every problem needs a gold answer"):
        main(command(tmp_path / "out.jsonl", f"problems={tmp_path / 'p.jsonl'}"))


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match="exists already"):
        main(command(tmp_path / "out.jsonl"))
    assert (tmp_path / "out.jsonl").read_text(encoding="utf-8") == "mine"
