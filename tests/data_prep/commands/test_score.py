"""Scores of traces: the file, the cache, the way to a selection."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from data_prep.commands.score import labelled, main
from data_prep.filtering.pipeline import read_and_filter
from data_prep.filtering.select import trace_hash
from data_prep.ledger import Ledger
from data_prep.tokens.tokenize import IGNORED, label_trace
from data_prep.trace import Trace
from data_prep.traces.files import trace_row
from recipes.errors import UserError
from recipes.loader import load_recipe
from tests.data_prep.losses_by_hand import loss_by_hand
from tests.data_prep.tokenizers import qwen_like
from tests.eval.worlds import fresh_nano, nano_format, nano_tokenizer


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """The arguments of a small scoring, with the reasoner cut to six layers as the pruned model."""
    if not (tmp_path / "pruned").exists():
        fresh_nano(layers=6).save_pretrained(tmp_path / "pruned")
    return [
        "recipe=lora_recovery.yaml",
        "data.traces.size=40",
        f"run.cache_dir={tmp_path / 'cache'}",
        f"pruned={tmp_path / 'pruned'}",
        f"out={tmp_path / 'scores.jsonl'}",
    ]


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_trace_has_both_losses_and_the_gap(command: list[str], tmp_path: Path) -> None:
    main(command)
    scores = rows(tmp_path / "scores.jsonl")
    traces = list(read_and_filter(load_recipe(command[:2]).recipe.data, Ledger()))
    assert [row["id"] for row in scores] == [trace.id for trace in traces]
    label = label_trace(traces[0], nano_tokenizer(), nano_format())
    assert scores[0]["loss_unpruned"] == pytest.approx(loss_by_hand(label), abs=1e-5)
    assert scores[0]["tokens"] == sum(each != IGNORED for each in label.labels)
    assert all(row["gap"] == row["loss_pruned"] - row["loss_unpruned"] for row in scores)
    assert sum(row["gap"] for row in scores) > 0


def test_what_was_scored_is_not_scored_again(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(command)
    (journal, _) = sorted((tmp_path / "cache" / "scores").iterdir())
    whole, first = journal.read_bytes(), rows(tmp_path / "scores.jsonl")
    journal.write_bytes(whole[: len(whole) // 2])  # as a kill leaves it
    capsys.readouterr()
    main([*command[:-1], f"out={tmp_path / 'again.jsonl'}"])
    said = capsys.readouterr().out
    assert " 0 traces scored, " in said and ": 0 traces scored, " in said and ", 0 were cached" not in said
    for once, again in zip(first, rows(tmp_path / "again.jsonl"), strict=True):
        assert again == {
            key: pytest.approx(value, abs=1e-5) if isinstance(value, float) else value for key, value in once.items()
        }


def test_a_cache_that_cannot_be_written_is_named(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(UserError, match=r"run.cache_dir=.*cache: cannot be written \(.*\); name another folder"):
        main(command)


def test_a_recipe_selects_by_the_file(command: list[str], tmp_path: Path) -> None:
    main(command)
    data = load_recipe(
        [*command[:2], f"data.select={{scores: {tmp_path / 'scores.jsonl'}, keep: top, count: 5}}"]
    ).recipe.data
    gaps = sorted((row["gap"] for row in rows(tmp_path / "scores.jsonl")), reverse=True)
    by_id = {row["id"]: row["gap"] for row in rows(tmp_path / "scores.jsonl")}
    kept = list(read_and_filter(data, Ledger()))
    assert len(kept) == 5 and all(by_id[trace.id] >= gaps[4] for trace in kept)


def test_a_trace_that_is_too_long_has_no_score(command: list[str], tmp_path: Path) -> None:
    main([*command, "data.max_length_tokens=16"])
    scores = rows(tmp_path / "scores.jsonl")
    assert {row["loss_pruned"] is None for row in scores} == {True, False}
    assert all(row["gap"] is None for row in scores if row["loss_pruned"] is None)
    assert all((row["lost"] == "too long") == (row["gap"] is None) for row in scores)


def test_over_long_traces_stop_a_recipe_that_says_so(command: list[str], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.overlong=error: trace .* tokens, more than data\.max_length_tokens=16"):
        main([*command, "data.max_length_tokens=16", "data.overlong=error"])
    assert not (tmp_path / "scores.jsonl").exists()


def test_the_traces_are_read_once(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    times: list[object] = []

    def counted(*arguments: Any) -> Any:
        times.append(arguments)
        return read_and_filter(*arguments)

    monkeypatch.setattr("data_prep.commands.score.read_and_filter", counted)
    main(command)
    assert len(times) == 1


def test_a_trace_that_is_shortened_is_scored_as_it_will_train(tmp_path: Path) -> None:
    trace = Trace("t", "2+2?", "\n\n".join(f"Step {i}." for i in range(60)), "4", "f")
    (tmp_path / "t.jsonl").write_text(json.dumps(trace_row(trace)) + "\n", encoding="utf-8")
    qwen_like().save_pretrained(tmp_path / "model")
    keys = [
        f"model.unpruned={tmp_path / 'model'}",
        f"data.traces={{source: file, path: {tmp_path / 't.jsonl'}}}",
        "data.format={open: null, close: null, cue: ''}",
        "data.max_length_tokens=200",
    ]
    found = {
        what: list(labelled(load_recipe(["recipe=lora_recovery.yaml", *keys, f"data.overlong={what}"]).recipe))
        for what in ("drop", "shorten")
    }
    ((dropped, nothing),), ((shortened, row),) = found["drop"], found["shorten"]
    assert dropped.key is None and nothing is None
    assert shortened.trace == dropped.trace == trace_hash(trace)
    assert row is not None and 180 < len(row.input_ids) <= 200


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["batch_tokens=0"], "batch_tokens=0: must be a whole number"),
        (["pruned="], "pruned=DIR is missing"),
        (["out="], "out=FILE is missing"),
        (["pruned=/no/where"], "no model at '/no/where'"),
    ],
)
def test_mistakes_are_named(command: list[str], changes: list[str], said: str) -> None:
    keys = {change.partition("=")[0] for change in changes}
    with pytest.raises(UserError, match=said):
        main([*(each for each in command if each.partition("=")[0] not in keys), *changes])
