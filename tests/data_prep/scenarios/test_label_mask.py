"""The label mask, proven for every family: what is labelled decodes to thinking + close + answer + stop, byte for byte.

The families' templates strip thinking from earlier turns, open the thought or know of none; ours is put after them.
"""

from __future__ import annotations

import random
import sys

import pytest

from data_prep.tokens.prompts import think_format
from data_prep.tokens.tokenize import IGNORED, Labeller, Row, Unwritable
from data_prep.trace import Trace
from recipes.data import FormatSection
from tests.data_prep.templates import deepseek_r1, qwen3, qwen25, qwq

THINK = FormatSection(open="<think>\n", close="\n</think>\n\n")
S1 = FormatSection(open="<|im_start|>think\n", close="\n<|im_start|>answer\n")
FAMILIES = {
    "qwen3": (qwen3(), THINK),
    "deepseek_r1": (deepseek_r1(), THINK),
    "s1.1": (qwen25(), S1),
    "qwq": (qwq(), THINK),
}
PROMPTS = {
    "qwen3": "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n<think>\n",
    "deepseek_r1": "<｜begin▁of▁sentence｜><｜User｜>2+2?<｜Assistant｜><think>\n",
    "s1.1": "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
    "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n<|im_start|>think\n",
    "qwq": "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n<think>\n",
}
COMPLETIONS = {
    "qwen3": "First.\n\nThen.\n</think>\n\n4<|im_end|>",
    "qwq": "First.\n\nThen.\n</think>\n\n4<|im_end|>",
    "deepseek_r1": "First.\n\nThen.\n</think>\n\n4<｜end▁of▁sentence｜>",
    "s1.1": "First.\n\nThen.\n<|im_start|>answer\n4<|im_end|>",
}


def split(row: Row, family: str) -> tuple[str, str]:
    """The unlabelled and the labelled text of a row; the labels must be its last ids."""
    first = row.labels.count(IGNORED)
    assert row.labels == [IGNORED] * first + row.input_ids[first:]
    tokenizer = FAMILIES[family][0]
    prompt, completion = (
        str(tokenizer.decode(ids, skip_special_tokens=False)) for ids in (row.input_ids[:first], row.input_ids[first:])
    )
    return prompt, completion


def labelled(family: str, traces: list[Trace]) -> list[Row | Unwritable]:
    tokenizer, section = FAMILIES[family]
    outcomes = Labeller(tokenizer, think_format(section, tokenizer)).label_all(traces)
    return [each if isinstance(each, Unwritable) else each.row() for each in outcomes]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_whole_row_of_a_family_by_hand(family: str) -> None:
    (row,) = labelled(family, [Trace("t", "2+2?", "First.\n\nThen.", "4", "f")])
    assert isinstance(row, Row) and split(row, family) == (PROMPTS[family], COMPLETIONS[family])


def random_text(rng: random.Random) -> str:
    """Letters of all planes (no surrogates), controls, white space and pieces of marks."""

    def letter() -> str:
        kind = rng.randrange(6)
        if kind == 0:
            return rng.choice(["\n", "\n\n", " ", "\t", "\r\n", "\u2028", "\u00a0", "\u200b", "\x00", "\ufeff"])
        if kind == 1:
            return rng.choice(["<", "think", ">", "</", "|im", "end|>", "12", "▁", "Ġ", "Ċ", "�"])
        code = rng.randrange(128) if kind < 4 else rng.randrange(sys.maxunicode + 1)
        return "" if 0xD800 <= code < 0xE000 else chr(code)

    return "".join(letter() for _ in range(rng.randrange(30)))


@pytest.mark.parametrize("family", FAMILIES)
def test_any_text_is_taught_byte_for_byte_or_refused_for_a_mark(family: str) -> None:
    rng = random.Random(family)
    tokenizer, section = FAMILIES[family]
    fmt = think_format(section, tokenizer)
    traces = [Trace(str(i), random_text(rng), random_text(rng), random_text(rng), "f") for i in range(300)]
    rows = labelled(family, traces)
    for trace, row in zip(traces, rows, strict=True):
        if isinstance(row, Unwritable):
            assert row.reason == "mark in the text"
            continue
        prompt, completion = split(row, family)
        assert completion.encode() == (trace.thinking + fmt.close + trace.answer + fmt.stop).encode()
        assert prompt.endswith(fmt.open) and row.labels[0] == IGNORED
        assert row.labels[-1] == row.input_ids[-1] in fmt.stop_ids and row.input_ids[-1] != tokenizer.pad_token_id
    assert sum(isinstance(row, Row) for row in rows) > 250


@pytest.mark.parametrize("family", FAMILIES)
def test_tokenised_apart_no_token_straddles_the_border(family: str) -> None:
    (row,) = labelled(family, [Trace("t", "q", "\n12", "4", "f")])  # two line breaks would be one token
    assert isinstance(row, Row)
    first = row.labels.count(IGNORED)
    assert (row.input_ids[first - 1], row.input_ids[first]) == (10, 10)
