"""Thousands of spoiled rows of every layout: each gives a sound trace or a counted, named loss, and nothing else."""

from __future__ import annotations

import copy
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data_prep.filtering.filters import filter_traces
from data_prep.ledger import Ledger
from data_prep.tokens.prompts import think_format
from data_prep.tokens.tokenize import Labeller, Unwritable
from data_prep.trace import visible
from data_prep.traces.rows import file_rows
from data_prep.traces.sources import read_source
from data_prep.traces.tags import TAG
from recipes.data import DataSection, FormatSection
from recipes.errors import UserError
from recipes.paths import ROOT
from recipes.traces import FileTraces
from tests.data_prep.tokenizers import CLOSE, IM_END, IM_START, PAD, THINK, TWO_LINES, qwen_like
from tests.data_prep.trace_files import KINDS, write_rows

ROWS_A_SEED = 1_500
PAGE = ROOT / "docs" / "trace_formats.md"
EXAMPLES = [json.loads(block) for block in re.findall(r"```json\n(.*?)\n```", PAGE.read_text(), re.DOTALL)][::2]
MERGED = {TWO_LINES: b"\n\n", TWO_LINES + 1: b"12"}
TAGS = [
    "<think>",
    "</think>",
    "<thinking>",
    "</thinking>",
    "<|im_start|>think\n",
    "\n<|im_start|>answer\n",
    "```\n",
    "`",
    "<|begin_of_thought|>",
    "<|end_of_thought|>",
    "<|im_end|>",
    "<|im_start|>user\n",
    "~~~\n",
    "\n",
    "\r\n",
    "\u2028",
    "\u200be\u0301",
    "<|endoftext|>",
    "＜|im_end|＞",
    "<\u200b|im_end|>",
    "½ﬁ①",
    "e\u0301\u00e9",
]
BESIDE_TEXT = ["tool_calls", "function_call", "tool_call_id", "name", "tools", "images"]
NESTED: Any = "deep"
for _ in range(60):
    NESTED = [NESTED]
WRONG: list[Any] = [
    None,
    True,
    0,
    -1,
    10**400,
    1e308,
    float("nan"),
    float("inf"),
    [],
    {},
    [[]],
    [None],
    [{}],
    {"a": None},
    NESTED,
    "",
    " ",
    "\n\t",
    "\ud800",
    "a\udfffb",
    "\ufeff",
    "\x00",
    "\u200b\u2060",
    "word " * 20_000,
    "\u202e\u0627\u0628",
    "[1, 2",
    "[]",
    "{}",
    "<|im_start|>assistant\n<think>\n",
    {"type": "tool_use", "name": "f", "input": {}},
    [{"type": "text", "text": "a"}, {"type": "tool_use", "name": "f"}],
    [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
    [{"function": {"name": "f", "arguments": "{}"}, "id": "c", "type": "function"}],
    {"role": "tool", "content": "4", "tool_call_id": "c"},
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths to every value inside a row."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in inside:
        yield (*path, key)
        yield from places(below, (*path, key))


def spoiled_row(rng: random.Random) -> Any:
    """An example with one to three values replaced, lost, renamed, wrapped, or their text strewn with tags."""
    row = copy.deepcopy(rng.choice(EXAMPLES))
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        paths = list(places(row))
        if not paths:
            break
        *above, last = rng.choice(paths)
        place = row
        for key in above:
            place = place[key]
        match rng.randrange(6):
            case 0:
                place[last] = copy.deepcopy(rng.choice(WRONG))
            case 1:
                del place[last]
            case 2:
                place[last] = [place[last]]
            case 3 if isinstance(place, dict):
                place[rng.choice(["text", "messages", "thinking", "gold", "id", "system", "x", *BESIDE_TEXT])] = (
                    place.pop(last)
                )
            case _:
                place[last] = strewn(str(place[last]), rng)
    return row if rng.random() > 0.02 else rng.choice([[row], "row", 7, None])


def strewn(text: str, rng: random.Random) -> str:
    """The text with tags put in at random places, or its own tags in another order."""
    if rng.random() < 0.3:
        found = TAG.findall(text)
        rng.shuffle(found)
        return TAG.sub(lambda match: found.pop(), text)
    for _ in range(rng.randint(1, 4)):
        at = rng.randint(0, len(text))
        text = text[:at] + rng.choice(TAGS) + text[at:]
    return text


def spoiled_line(rng: random.Random) -> bytes:
    """A row as JSON, one in five with its bytes spoiled too."""
    line = json.dumps(spoiled_row(rng), ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    if rng.random() < 0.2:
        at = rng.randint(0, len(line))
        noise = bytes(rng.choices(range(11, 256), k=3))
        line = rng.choice(
            [
                line[:at],
                line[:at] + noise + line[at:],
                b"\xef\xbb\xbf" + line,
                line + b"\r",
                line.replace(b'"', b"'"),
                b"[" * 2_000 + line,
                line + line,
            ]
        )
    return line.replace(b"\n", b" ")


@pytest.mark.parametrize("seed", range(4))
def test_a_spoiled_row_is_a_sound_trace_or_a_counted_loss(seed: int, tmp_path: Path) -> None:
    rng, path = random.Random(f"fuzz {seed}"), tmp_path / "traces.jsonl"
    path.write_bytes(b"\n".join(spoiled_line(rng) for _ in range(ROWS_A_SEED)))
    section, ledger = DataSection(traces=FileTraces(source="file", path=path), max_length_tokens=8), Ledger()
    read = list(read_source(section.traces, "skip", ledger))
    assert ledger.read == sum(1 for line in path.read_bytes().split(b"\n") if line.strip())
    assert ledger.read == len(read) + ledger.lost.total()
    assert len(read) > ROWS_A_SEED / 5 and ledger.lost["broken row"] > ROWS_A_SEED / 5
    assert all(
        re.fullmatch(rf"{re.escape(str(path))}:\d+(: .+)?", where, re.DOTALL)
        for named in ledger.named.values()
        for where in named
    )
    kept = list(filter_traces(iter(read), section, ledger))
    assert ledger.read == len(kept) + ledger.lost.total()
    for trace in kept:
        assert visible(trace.question) and visible(trace.answer) and trace.thought == "whole"
        assert (trace.id + trace.question + trace.thinking + trace.answer + (trace.gold or "")).encode()


@pytest.mark.parametrize("seed", range(2))
def test_text_of_a_spoiled_row_is_never_a_control_token(seed: int, tmp_path: Path) -> None:
    """What is labelled holds the marks of one exchange and no others; what spells more is lost by name."""
    rng, path, tokenizer = random.Random(f"controls {seed}"), tmp_path / "traces.jsonl", qwen_like()
    path.write_bytes(b"\n".join(spoiled_line(rng) for _ in range(ROWS_A_SEED)))
    traces = list(read_source(FileTraces(source="file", path=path), "skip", Ledger()))
    labeller = Labeller(tokenizer, think_format(FormatSection(), tokenizer))
    marks, reasons, sound = {IM_START: 2, IM_END: 2, THINK: 1, CLOSE: 1}, Counter[str](), 0
    for found in labeller.label_all([trace for trace in traces if len(trace.thinking) < 1_000]):
        if isinstance(found, Unwritable):
            reasons[found.reason] += 1
            continue
        ids, sound = Counter(found.prompt_ids + found.completion_ids), sound + 1
        assert {mark: ids[mark] for mark in marks} == marks, found.trace
        spelt = b"".join(MERGED.get(token, bytes([token % 256])) for token in found.completion_ids if token < PAD)
        assert spelt.decode() == (f"{found.trace.thinking}\n\n\n{found.trace.answer}")
    assert sound > 100 and reasons["control token in the text"] > 20 and reasons["mark in the text"] > 5
    assert set(reasons) <= {"control token in the text", "mark in the text"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_spoiled_file_is_read_or_refused(kind: str, tmp_path: Path) -> None:
    rng, path = random.Random(f"files {kind}"), tmp_path / f"traces{kind}"
    rows = [
        {"question": 'q, "1"', "thinking": "t\nu", "answer": "a"},
        {"question": "q2", "thinking": "", "answer": "\u0634"},
    ]
    sound = write_rows(path, rows * 3).read_bytes()
    read = refused = 0
    for number in range(100):
        content = bytearray(sound)
        for _ in range(rng.randint(0, 3) if "." + kind.split(".")[1] in (".jsonl", ".json", ".csv", ".tsv") else 0):
            at = rng.randrange(len(content))
            content[at : at + rng.randint(0, 2)] = bytes(rng.choices(range(256), k=rng.randint(0, 3)))
        path.write_bytes(content[: rng.randint(0, len(content))] if number % 2 else content)
        try:
            read += len(list(file_rows(path, "key"))) > 0
        except UserError:
            refused += 1
    assert read > 0
    assert refused > 0 or kind in (".jsonl", ".ndjson", ".csv", ".tsv")  # a spoiled line is the fault of one row
