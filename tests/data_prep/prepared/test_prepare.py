"""The prepared set of a recipe: rows, counts that add up, the cache, threads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerBase

from data_prep.commands.nano import FORMAT as NANO_FORMAT
from data_prep.nano_world import build_tokenizer
from data_prep.prepared.prepare import Prepared, prepare
from data_prep.problem import Problem, Suite
from data_prep.tokens.prompts import think_format
from data_prep.tokens.tokenize import IGNORED
from recipes.data import DataSection, FormatSection
from recipes.errors import UserError
from tests.data_prep import templates
from tests.data_prep.tokenizers import CLOSE, IM_END, IM_START, THINK, qwen_like
from tests.runtime.test_progress import every_line

NANO, QWEN = build_tokenizer(), qwen_like()
FMT = think_format(FormatSection(), QWEN)
OTHER_TOKENS = len([IM_START, *b"user\n2+2?", IM_END, 10, IM_START, *b"assistant\n", THINK, 10]) + 5


def section(folder: Path, thoughts: list[str], **keys: Any) -> DataSection:
    rows = [{"id": str(i), "question": "2+2?", "thinking": text, "answer": "4"} for i, text in enumerate(thoughts)]
    (folder / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return DataSection.model_validate(
        {
            "traces": {"source": "jsonl", "path": folder / "t.jsonl"},
            "workers": 1,
            "cache_dir": folder / "cache",
            "max_length_tokens": 10_000,
            **keys,
        }
    )


def prepared(folder: Path, thoughts: list[str], **keys: Any) -> Prepared:
    return prepare(section(folder, thoughts, **keys), QWEN, FMT)


def test_another_suite_to_keep_clear_of_is_another_set(tmp_path: Path) -> None:
    data = section(tmp_path, ["a", "b"])
    suites = [Suite("s", (Problem("p", question, "4"),), "math") for question in ("3+3?", "2+2?")]
    clear = prepare(data, QWEN, FMT, suites=suites[:1])
    assert (len(clear.rows), clear.manifest["rows"]["notes"]) == (2, ["decontaminated against s"])
    with pytest.raises(UserError, match="in suite s 2"):
        prepare(data, QWEN, FMT, suites=suites[1:])


def test_over_long_traces_are_dropped_whole_counted_and_named(tmp_path: Path) -> None:
    data = prepared(tmp_path, ["x" * n for n in (3, 30, 10, 11)], max_length_tokens=OTHER_TOKENS + 10)
    assert [row.id for row in data.rows] == ["0", "2"]
    assert data.manifest["rows"] == {
        "read": 4,
        "kept": 2,
        "lost": {"too long": 2},
        "changed": {},
        "notes": [],
        "named": {
            "too long": [
                f"{tmp_path / 't.jsonl'} {which}: {OTHER_TOKENS + more} tokens" for which, more in ((1, 30), (3, 11))
            ]
        },
    }
    assert (data.read, data.too_long, data.longest_tokens) == (4, 2, OTHER_TOKENS + 30)


def test_every_lost_row_is_listed_in_a_file_of_its_own(tmp_path: Path) -> None:
    data = prepared(tmp_path, ["x", *["x" * 30] * 45], max_length_tokens=OTHER_TOKENS + 10)
    lost = [json.loads(line) for line in (data.folder / "lost.jsonl").read_text().splitlines()]
    assert lost == [
        {"reason": "too long", "where": f"{tmp_path / 't.jsonl'} {i}", "why": f"{OTHER_TOKENS + 30} tokens"}
        for i in range(1, 46)
    ]
    assert len(data.manifest["rows"]["named"]["too long"]) == 20


def test_over_long_traces_stop_a_recipe_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"overlong=error: trace .*t\.jsonl 1 has {OTHER_TOKENS + 30} tok"):
        prepared(tmp_path, ["x" * n for n in (3, 30)], max_length_tokens=OTHER_TOKENS + 10, overlong="error")


def test_shortened_traces_are_whole_otherwise_marked_and_counted(tmp_path: Path) -> None:
    thoughts = ["ab", "a\n\nbb\n\nccc\n\ndd\n\ne", "x" * 30]
    data = prepared(tmp_path, thoughts, max_length_tokens=OTHER_TOKENS + 12, overlong="shorten")
    assert [(row.id, row.shortened) for row in data.rows] == [("0", False), ("1", True)]
    row = data.rows[1]
    taught = QWEN.decode([label for label in row.labels if label != IGNORED], skip_special_tokens=False)
    assert taught == "a\n\nbb\n\ndd\n\ne\n</think>\n\n4<|im_end|>"
    assert len(row.input_ids) == OTHER_TOKENS + 9  # three of the borders are one token each
    assert (data.manifest["rows"]["changed"], data.manifest["rows"]["lost"]) == ({"shortened": 1}, {"too long": 1})


def test_a_prompt_that_alone_is_too_long_is_dropped_when_shortening(tmp_path: Path) -> None:
    data = prepared(tmp_path, ["", "a\n\nb\n\nc"], max_length_tokens=OTHER_TOKENS + 1, overlong="shorten")
    assert data.manifest["rows"]["named"] == {
        "too long": [f"{tmp_path / 't.jsonl'} 1: {OTHER_TOKENS + 5} tokens, and no two steps of its thinking fit"]
    }


def test_token_counts(tmp_path: Path) -> None:
    data = prepared(tmp_path, ["x" * 3, "x" * 10, "x" * 30], max_length_tokens=OTHER_TOKENS + 10)
    assert (data.tokens, data.labelled_tokens) == (2 * OTHER_TOKENS + 13, 2 * 5 + 13)


def test_every_row_ends_with_a_labelled_stop_and_begins_unlabelled(tmp_path: Path) -> None:
    data = prepared(tmp_path, ["", "x", "y" * 50])
    assert [(row.labels[0], row.labels[-1]) for row in data.rows] == [(IGNORED, IM_END)] * 3


def test_all_traces_too_long(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"max_length_tokens=20: all 2 traces .* longest has {OTHER_TOKENS + 30} "):
        prepared(tmp_path, ["x" * 3, "x" * 30], max_length_tokens=20)


def test_a_refused_trace_names_its_file_and_leaves_no_set(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.traces: trace .*t\.jsonl 1: the thinking contains '<\|im_end\|>'"):
        prepared(tmp_path, ["a", "4<|im_end|>5"])
    assert [path for path in (tmp_path / "cache").iterdir() if path.is_dir()] == []


def test_a_refused_trace_is_counted_where_the_recipe_goes_on(tmp_path: Path) -> None:
    data = prepared(tmp_path, ["a", "4<|im_end|>5"], on_error="skip")
    assert (data.manifest["rows"]["kept"], data.manifest["rows"]["lost"]) == (1, {"mark in the text": 1})


def test_a_refused_trace_is_not_taken_for_an_over_long_one(tmp_path: Path) -> None:
    data = prepared(tmp_path, ["a", "4<|im_end|>5"], on_error="skip", overlong="error")
    assert data.manifest["rows"]["lost"] == {"mark in the text": 1}


def test_the_second_time_it_is_found(tmp_path: Path) -> None:
    said: list[str] = []
    for _ in range(2):
        prepare(section(tmp_path, ["a", "b"]), QWEN, FMT, said.append)
    assert [" ".join(line.split()[:3]) for line in said] == ["prepared set made", "prepared set found"]


def on_day(folder: Path, date: str, tokenizer: PreTrainedTokenizerBase) -> Prepared:
    data = section(folder, ["a", "b"], format={"date": date})
    return prepare(data, tokenizer, think_format(data.format, tokenizer))


def test_a_set_with_a_fixed_day_is_found_again_on_any_other(tmp_path: Path) -> None:
    first, again = (on_day(tmp_path, "2026-07-31", templates.dated()) for _ in range(2))
    assert (first.folder, first.hash) == (again.folder, again.hash)
    assert "Today Date: 31 Jul 2026" in templates.dated().decode(first.rows[0].input_ids)


def test_on_another_day_a_dated_template_gives_another_set(tmp_path: Path) -> None:
    first, second = (on_day(tmp_path, day, templates.dated()) for day in ("2026-07-31", "2026-08-01"))
    assert first.folder != second.folder and first.hash != second.hash


def test_without_a_date_in_the_template_the_set_of_another_day_is_the_same(tmp_path: Path) -> None:
    first, second = (on_day(tmp_path, day, QWEN) for day in ("2026-07-31", "2026-08-01"))
    assert first.folder == second.folder


def test_a_damaged_set_is_made_again(tmp_path: Path) -> None:
    first = prepared(tmp_path, ["a", "b"])
    rows = list(first.rows)
    (first.folder / "rows.arrow").write_bytes((first.folder / "rows.arrow").read_bytes()[:-40])
    said: list[str] = []
    again = prepare(section(tmp_path, ["a", "b"]), QWEN, FMT, said.append)
    assert "is damaged (rows.arrow has 960 bytes instead of 1,000) and is made again" in said[0]
    assert (again.folder, list(again.rows)) == (first.folder, rows)


def test_the_packed_rows_are_those_that_the_manifest_counts(tmp_path: Path) -> None:
    data = prepared(tmp_path, ["x" * (i % 9) for i in range(40)], max_length_tokens=4 * OTHER_TOKENS)
    assert len(data.packed) == data.manifest["packing"]["rows"] < 40
    assert sorted(row for pack in data.packed for row in pack) == list(range(40))


def test_prepare_reads_the_recipes_traces(tmp_path: Path) -> None:
    keys = {"traces": {"source": "nano", "size": 50}, "max_length_tokens": 40, "cache_dir": tmp_path}
    data = prepare(DataSection.model_validate(keys), NANO, think_format(NANO_FORMAT, NANO))
    assert data.read == 50 == len(data.rows) + data.too_long
    assert max(len(row.input_ids) for row in data.rows) <= 40 < data.longest_tokens


def test_a_set_ends_at_the_labelled_tokens_of_the_recipe(tmp_path: Path) -> None:
    thoughts = ["x" * 10] * 8
    each = prepared(tmp_path, thoughts[:1]).labelled_tokens
    data = prepared(tmp_path, thoughts, labelled_tokens=3 * each + 1)
    assert (len(data.rows), data.labelled_tokens) == (3, 3 * each)
    assert data.manifest["rows"]["lost"] == {"beyond data.labelled_tokens": 5}


def test_what_the_run_record_keeps_is_json_and_names_no_row(tmp_path: Path) -> None:
    facts = json.loads(json.dumps(prepared(tmp_path, ["a", "b"]).facts()))
    assert (facts["traces_read"], facts["traces_kept"], "named" in facts["rows"]) == (2, 2, False)


def test_a_close_inside_is_one_token_everywhere(tmp_path: Path) -> None:
    assert [row.input_ids.count(CLOSE) for row in prepared(tmp_path, ["a", ""]).rows] == [1, 1]


def test_traces_and_tokens_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    every_line(monkeypatch)
    prepared(tmp_path, ["a", "b", "c"])
    assert "preparing traces: 3 traces read, " in capsys.readouterr().err.splitlines()[-1]
