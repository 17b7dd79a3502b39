"""Labels, written down by hand: what is taught is thinking, close, answer and stop, and nothing else."""

from __future__ import annotations

import dataclasses

import pytest

from data_prep.nano_build import FORMAT as NANO_FORMAT
from data_prep.nano_world import build_tokenizer
from data_prep.prompts import think_format
from data_prep.tokenize import IGNORED, Row, label_trace, prepare, prepare_traces
from data_prep.traces import Trace
from recipes.data import DataSection, FormatSection
from recipes.errors import UserError
from tests.data_prep.tokenizers import CLOSE, IM_END, IM_START, THINK, TWO_LINES, qwen_like, r1_like

NANO, QWEN, R1 = build_tokenizer(), qwen_like(), r1_like()
CHAIN = Trace(id="t", question="start 7 #1 +3 #2 *4 ?", thinking="#1 +3 7 10 #2 *4 10 7", answer="answer 7", source="f")
SUM = Trace(id="t", question="2+2?", thinking="2+2=4", answer="4", source="f")
QWEN_PROMPT = [IM_START, *b"user\n2+2?", IM_END, 10, IM_START, *b"assistant\n", THINK, 10]


def qwen_row(**changes: str) -> Row:
    return label_trace(dataclasses.replace(SUM, **changes), QWEN, think_format(FormatSection(), QWEN))


def labelled(row: Row) -> list[int]:
    return [label for label in row.labels if label != IGNORED]


def test_labels_of_a_nano_trace() -> None:
    row = label_trace(CHAIN, NANO, think_format(NANO_FORMAT, NANO))
    prompt = ["<bos>", "<|user|>", "▁start", "▁7", "▁#1", "▁+3", "▁#2", "▁*4", "▁?", "<|assistant|>", "<think>"]
    completion = ["▁#1", "▁+3", "▁7", "▁10", "▁#2", "▁*4", "▁10", "▁7", "</think>", "▁answer", "▁7", "<eos>"]
    vocabulary = NANO.get_vocab()
    assert row.input_ids == [vocabulary[word] for word in prompt + completion]
    assert row.labels == [IGNORED] * len(prompt) + [vocabulary[word] for word in completion]


def test_labels_of_a_byte_level_trace() -> None:
    completion = [*b"2+2=4", 10, CLOSE, TWO_LINES, *b"4", IM_END]
    assert qwen_row() == Row("t", QWEN_PROMPT + completion, [IGNORED] * len(QWEN_PROMPT) + completion)


def test_labels_of_an_empty_thought() -> None:
    assert labelled(qwen_row(thinking="")) == [10, CLOSE, TWO_LINES, *b"4", IM_END]


def test_labels_of_a_template_that_opens_the_thought() -> None:
    row = label_trace(SUM, R1, think_format(FormatSection(), R1))
    user, assistant, think, close, end = range(259, 264)
    assert row.input_ids == [user, *b"2+2?", assistant, think, 10, *b"2+2=4", 10, close, TWO_LINES, *b"4", end]


def test_a_close_of_several_tokens_is_labelled_whole() -> None:
    section = FormatSection(open="<|im_start|>think\n", close="<|im_start|>answer\n")
    row = label_trace(SUM, QWEN, think_format(section, QWEN))
    assert labelled(row) == [*b"2+2=4", IM_START, *b"answer\n", *b"4", IM_END]


@pytest.mark.parametrize(
    "thinking", ["12 é √2\t\n\n  ende ", "\n\nstarts with lines", "日本", "a\r\nb", "\u00a0x\u2028"])
def test_thinking_is_taught_byte_for_byte(thinking: str) -> None:
    text = QWEN.decode(labelled(qwen_row(thinking=thinking)), skip_special_tokens=False)
    assert str(text).encode() == (thinking + "\n</think>\n\n4<|im_end|>").encode()


def test_no_token_straddles_the_border_of_prompt_and_completion() -> None:
    row = qwen_row(thinking="\nso")  # the prompt ends with a line break too: one text would merge both
    assert (row.input_ids[len(QWEN_PROMPT) - 1], labelled(row)[0]) == (10, 10)


@pytest.mark.parametrize("field", ["thinking", "answer"])
@pytest.mark.parametrize("mark", ["<think>", "</think>", "<|im_end|>"])
def test_marks_inside_a_trace_are_refused(field: str, mark: str) -> None:
    with pytest.raises(ValueError, match=rf"trace t: the {field} contains '{mark.replace('|', '[|]')}'"):
        qwen_row(**{field: f"4{mark}5"})


def test_end_of_sequence_inside_a_trace_is_refused_where_another_token_stops() -> None:
    fmt = think_format(FormatSection(stop="<|im_start|>"), QWEN)
    with pytest.raises(ValueError, match=r"contains '<[|]im_end[|]>'"):
        label_trace(dataclasses.replace(SUM, thinking="2<|im_end|>2"), QWEN, fmt)


def test_words_that_the_tokenizer_cannot_write_are_refused() -> None:
    with pytest.raises(ValueError, match="does not give the trace back: wrote 'seven"):
        label_trace(dataclasses.replace(CHAIN, thinking="seven"), NANO, think_format(NANO_FORMAT, NANO))


def prepared(lengths: list[int], max_length_tokens: int):  # type: ignore[no-untyped-def]
    traces = [dataclasses.replace(SUM, id=str(n), thinking="x" * n) for n in lengths]
    return prepare_traces(traces, max_length_tokens, QWEN, think_format(FormatSection(), QWEN))


OTHER_TOKENS = len(QWEN_PROMPT) + 5


def test_over_long_traces_are_dropped_whole_and_counted() -> None:
    data = prepared([3, 30, 10, 11], OTHER_TOKENS + 10)
    assert [row.id for row in data.rows] == ["3", "10"]
    assert (data.read, data.too_long, data.longest_tokens) == (4, 2, OTHER_TOKENS + 30)


def test_token_counts() -> None:
    data = prepared([3, 10, 30], OTHER_TOKENS + 10)
    assert (data.tokens, data.labelled_tokens) == (2 * OTHER_TOKENS + 13, 2 * 5 + 13)


def test_data_hash_changes_with_a_single_token() -> None:
    assert prepared([3, 10], 99).hash != prepared([3, 11], 99).hash


def test_all_traces_too_long() -> None:
    with pytest.raises(UserError, match=f"max_length_tokens=20: all 2 traces .* longest has {OTHER_TOKENS + 30} "):
        prepared([3, 30], 20)


def test_a_refused_trace_names_its_file() -> None:
    trace = dataclasses.replace(SUM, id="a.jsonl:3", thinking="</think>", source="a.jsonl")
    with pytest.raises(UserError, match=r"data\.traces \(a\.jsonl\): trace a\.jsonl:3: the thinking contains"):
        prepare_traces([trace], 99, QWEN, think_format(FormatSection(), QWEN))


def test_prepare_reads_the_recipes_traces() -> None:
    section = DataSection.model_validate({"traces": {"source": "nano", "size": 50}, "max_length_tokens": 40})
    data = prepare(section, NANO, think_format(NANO_FORMAT, NANO))
    assert data.read == 50 == len(data.rows) + data.too_long
    assert max(len(row.input_ids) for row in data.rows) <= 40 < data.longest_tokens
