"""Labels, written down by hand: what is taught is thinking, close, answer and stop, and nothing else."""

from __future__ import annotations

import dataclasses

import pytest
from tokenizers import normalizers

from data_prep.commands.nano import FORMAT as NANO_FORMAT
from data_prep.nano_world import build_tokenizer
from data_prep.tokens.prompts import think_format
from data_prep.tokens.tokenize import IGNORED, Labeller, Row, Unwritable, label_trace
from data_prep.trace import Trace
from recipes.data import FormatSection
from tests.data_prep.tokenizers import (
    CLOSE,
    DOT_END,
    END,
    IM_END,
    IM_START,
    IN,
    SHUT_LINES,
    TH,
    THINK,
    TWO_LINES,
    qwen_like,
    r1_like,
    text_mark_tokenizer,
)

NANO, QWEN, R1, TEXT = build_tokenizer(), qwen_like(), r1_like(), text_mark_tokenizer()
CHAIN = Trace(id="t", question="start 7 #1 +3 #2 *4 ?", thinking="#1 +3 7 10 #2 *4 10 7", answer="answer 7", source="f")
SUM = Trace(id="t", question="2+2?", thinking="2+2=4", answer="4", source="f")
QWEN_PROMPT = [IM_START, *b"user\n2+2?", IM_END, 10, IM_START, *b"assistant\n", THINK, 10]


def qwen_row(**changes: str) -> Row:
    return label_trace(dataclasses.replace(SUM, **changes), QWEN, think_format(FormatSection(), QWEN))


def labelled(row: Row) -> list[int]:
    return [label for label in row.labels if label != IGNORED]


def test_labels_of_marks_of_plain_text() -> None:
    row = label_trace(SUM, TEXT, think_format(FormatSection(), TEXT))
    assert labelled(row) == [*b"2+2=4\n", END, TH, IN, ord("k"), SHUT_LINES, ord("4"), TEXT.eos_token_id]
    assert row.input_ids[: -len(labelled(row))][-6:] == [ord("<"), TH, IN, ord("k"), ord(">"), 10]


@pytest.mark.parametrize(("thinking", "close"), [("so.", [DOT_END]), ("so", [ord("o"), END])])
def test_a_close_merged_with_the_thinking_is_a_close_all_the_same(thinking: str, close: list[int]) -> None:
    fmt = think_format(FormatSection(open="<think>", close="</think>"), TEXT)
    ids = labelled(label_trace(dataclasses.replace(SUM, thinking=thinking), TEXT, fmt))
    assert ids[: ids.index(TH)][-len(close) :] == close


def test_a_close_that_the_tokenizer_merges_beyond_recognition_is_not_trained() -> None:
    fmt = think_format(FormatSection(open="<think>", close="</think>"), TEXT)
    (outcome,) = Labeller(TEXT, fmt).label_all([dataclasses.replace(SUM, thinking="so a")])  # "a<" is one token
    assert isinstance(outcome, Unwritable) and outcome.reason == "close not read"


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
    "thinking", ["12 é √2\t\n\n  ende ", "\n\nstarts with lines", "日本", "a\r\nb", "\u00a0x\u2028"]
)
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


def test_a_text_in_another_normal_form_is_taught_as_the_tokenizer_writes_it() -> None:
    tokenizer = qwen_like()
    tokenizer.backend_tokenizer.normalizer = normalizers.NFC()
    decomposed = dataclasses.replace(SUM, thinking="cafe\u0301")
    row = label_trace(decomposed, tokenizer, think_format(FormatSection(), tokenizer))
    assert labelled(row)[:5] == list("caf\u00e9".encode())


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(ValueError, match="the answer holds half of a surrogate pair"):
        qwen_row(answer="4\ud83d")


def test_traces_side_by_side_are_labelled_as_each_alone() -> None:
    fmt = think_format(FormatSection(), QWEN)
    traces = [dataclasses.replace(SUM, thinking=text) for text in ("a", "12\n\n12", "é" * 50, "</think>", "b")]
    outcomes = Labeller(QWEN, fmt).label_all(traces)
    assert isinstance(outcomes.pop(3), Unwritable)
    assert [each.row() for each in outcomes] == [label_trace(t, QWEN, fmt) for t in traces if "<" not in t.thinking]
