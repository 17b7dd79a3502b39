"""What makes a prepared set another one, and what does not."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from data_prep.prepared.identity import content_hash, hub_fingerprint, identity
from data_prep.tokens.prompts import think_format
from recipes.data import DataSection, FormatSection
from tests.data_prep import templates
from tests.data_prep.tokenizers import qwen_like

QWEN = qwen_like()


def of(path: Path, tokenizer: Any = QWEN, also: Any = None, **changes: Any) -> str:
    keys = {"traces": {"source": "jsonl", "path": path}, "max_length_tokens": 64, **changes}
    section = DataSection.model_validate(keys)
    return identity(section, tokenizer, think_format(section.format, tokenizer), also)


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    path = tmp_path / "traces.jsonl"
    path.write_text(json.dumps({"question": "q", "thinking": "t", "answer": "a"}) + "\n")
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"max_length_tokens": 65},
        {"overlong": "shorten"},
        {"format": FormatSection(close="</think>")},
        {"format": FormatSection(stop="<|im_start|>")},
        {"also": {"suite": "x"}},
        {"on_error": "skip"},
        {"verify": {}},
        {"duplicates": {"near": "trace"}},
        {"decontaminate": {"n": 9}},
        {"filters": {"loop_rounds": 4}},
    ],
    ids=str,
)
def test_another_key_is_another_set(changes: dict[str, Any], traces: Path) -> None:
    assert of(traces, **changes) != of(traces)


def test_another_day_is_another_set_only_where_the_template_writes_it(traces: Path) -> None:
    days = [{"date": "2026-07-31"}, {"date": "2026-08-01"}]
    dated, plain = ({of(traces, tokenizer, format=day) for day in days} for tokenizer in (templates.dated(), QWEN))
    assert (len(dated), plain) == (2, {of(traces)})


@pytest.mark.parametrize(
    "changes", [{"workers": 3}, {"packing": True}, {"cache_dir": "elsewhere"}, {"overlong": "drop"}], ids=str
)
def test_how_rows_are_made_and_used_does_not_count(changes: dict[str, Any], traces: Path) -> None:
    assert of(traces, **changes) == of(traces)


def test_a_changed_letter_of_a_file_counts_though_size_and_time_stay(traces: Path) -> None:
    before, times = of(traces), traces.stat()
    traces.write_text(traces.read_text().replace('"t"', '"u"'))
    os.utime(traces, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert of(traces) != before


def test_the_scores_to_select_by_count_by_what_they_hold(traces: Path, tmp_path: Path) -> None:
    (tmp_path / "scores").write_text("1")
    select = {"scores": tmp_path / "scores", "count": 1}
    before = of(traces, select=select)
    (tmp_path / "scores").write_text("2")
    assert len({before, of(traces, select=select), of(traces)}) == 3


def test_the_chat_template_counts(traces: Path) -> None:
    other = qwen_like()
    other.chat_template = QWEN.chat_template.replace("user", "human") + " "
    assert of(traces, other) != of(traces)


def test_a_token_more_counts(traces: Path) -> None:
    other = qwen_like()
    other.add_tokens(["more"])
    assert of(traces, other) != of(traces) == of(traces, qwen_like())


def test_a_folder_counts_by_the_names_and_contents_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "a" / "deep").mkdir(parents=True)
    (tmp_path / "a" / "deep" / "x").write_text("1")
    first = content_hash(tmp_path / "a")
    (tmp_path / "a" / "deep" / "x").rename(tmp_path / "a" / "y")
    assert (content_hash(tmp_path / "a") != first, content_hash(tmp_path / "none")) == (True, "missing")


def test_a_data_set_that_cannot_be_asked_for_is_never_the_same_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("datasets.config", "huggingface_hub.constants"):
        monkeypatch.setattr(f"{module}.HF_HUB_OFFLINE", True)
    assert hub_fingerprint("nobody/nothing", None) != hub_fingerprint("nobody/nothing", None)
