"""The one renderer: prompts, formats, and what a tokenizer must have to think."""

from __future__ import annotations

import datetime
import hashlib
import json

import pytest

from data_prep.nano_world import build_tokenizer
from data_prep.problem import Problem, Suite
from data_prep.tokens.prompts import encode, render_off_prompt, render_prompt, think_format
from data_prep.tokens.tokenize import IGNORED, label_trace
from data_prep.trace import Trace
from eval.protocol import Protocol
from eval.sweep import SweepSpec, suite_requests
from recipes.data import FormatSection
from recipes.errors import UserError
from tests.data_prep import templates
from tests.data_prep.tokenizers import (
    CLOSE,
    IM_END,
    IM_START,
    PAD,
    QWEN_MARKS,
    QWEN_TEMPLATE,
    THINK,
    TWO_LINES,
    byte_tokenizer,
    qwen_like,
    r1_like,
)

QWEN, R1 = qwen_like(), r1_like()
S1 = FormatSection(open="<|im_start|>think\n", close="<|im_start|>answer\n", cue="Final:")


def test_both_prompts_of_a_format_write_its_day() -> None:
    tokenizer = templates.dated()
    fmt = think_format(FormatSection(date=datetime.date(2026, 7, 31)), tokenizer)
    prompts = [render("2+2?", tokenizer, fmt) for render in (render_prompt, render_off_prompt)]
    assert [text.partition("<|im_end|>")[0] for text in prompts] == ["<|im_start|>system\nToday Date: 31 Jul 2026"] * 2


def test_a_format_names_its_day_only_where_the_template_writes_one() -> None:
    section = FormatSection(date=datetime.date(2026, 7, 31))
    facts = [think_format(section, tokenizer).facts() for tokenizer in (templates.dated(), QWEN)]
    assert [each.get("date") for each in facts] == ["2026-07-31", None]


@pytest.mark.parametrize("section", [FormatSection(), S1], ids=["think", "s1"])
@pytest.mark.parametrize("tokenizer", [QWEN, R1], ids=["qwen", "r1"])
def test_training_and_evaluation_render_one_prompt(tokenizer, section) -> None:  # type: ignore[no-untyped-def]
    if tokenizer is R1 and section is S1:
        section = FormatSection(open="<think>\n\n")
    fmt = think_format(section, tokenizer)
    row = label_trace(Trace("t", " 2+2 ?\n", "4", "4", "f"), tokenizer, fmt)
    protocol = Protocol((4,), 2, 0, 0, 0.0, 1.0, 0, 0, len(tokenizer), fmt)
    plan = SweepSpec((Suite("s", (Problem("p", " 2+2 ?\n", "4"),), "exact"),), protocol, 1, 1, tokenizer)
    assert suite_requests(plan.suites[0], plan)[0].prompt_ids == tuple(row.input_ids[: row.labels.count(IGNORED)])


def test_thinking_is_switched_on_in_the_template() -> None:
    text = render_prompt("2+2?", QWEN, think_format(FormatSection(), QWEN))
    assert text == "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n<think>\n"


@pytest.mark.parametrize("opening", ["<think>", "<think>\n", "<think>\n\n"])
def test_a_template_that_opens_the_thought_gets_the_recipes_open_once(opening: str) -> None:
    text = render_prompt("2+2?", R1, think_format(FormatSection(open=opening), R1))
    assert text == f"<|User|>2+2?<|Assistant|>{opening}"


def test_ids_of_a_think_format() -> None:
    fmt = think_format(FormatSection(cue="A:"), QWEN)
    assert fmt.close_tag_ids == fmt.close_mark_ids == (CLOSE,)
    assert fmt.forced_close_ids == (10, CLOSE, TWO_LINES, *b"A:")
    assert fmt.own_close_ids == (CLOSE, TWO_LINES, *b"A:")
    assert fmt.wait_ids == tuple(b"Wait")
    assert fmt.banned_ids == (THINK, CLOSE)
    assert fmt.stop_ids == (IM_END,)


def test_ids_of_a_close_of_several_tokens() -> None:
    fmt = think_format(S1, QWEN)
    assert fmt.close_tag_ids == (IM_START, *b"answer")
    assert fmt.forced_close_ids == fmt.own_close_ids == (IM_START, *b"answer\nFinal:")
    assert fmt.banned_ids == (IM_START,)


def test_a_stop_of_the_recipe_stops_beside_the_end_of_sequence() -> None:
    assert think_format(FormatSection(stop="<|im_start|>"), QWEN).stop_ids == (IM_START, IM_END)


def test_a_tokenizer_without_end_of_sequence_stops_by_the_recipe() -> None:
    tokenizer = qwen_like()
    tokenizer.eos_token = None
    assert think_format(FormatSection(stop="<|im_end|>"), tokenizer).stop_ids == (IM_END,)


def test_a_tokenizer_without_think_tokens_is_refused() -> None:
    template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    tokenizer = byte_tokenizer(QWEN_MARKS[:3], template, "<|im_end|>", "<|endoftext|>")
    with pytest.raises(UserError, match=r"data\.format\.name=auto: neither tokens nor template .*set data\.format"):
        think_format(FormatSection(), tokenizer)


@pytest.mark.parametrize(
    ("key", "format_"),
    [
        ("open", {"open": ""}),
        ("open", {"open": " \n"}),
        ("close", {"close": "\n"}),
        ("close", {"close": "The end"}),
        ("stop", {"stop": "STOP"}),
    ],
)
def test_a_mark_that_is_no_token_is_refused(key: str, format_: dict[str, str]) -> None:
    with pytest.raises(UserError, match=rf"data\.format\.{key}: "):
        think_format(FormatSection(**format_), QWEN)


def test_a_pad_token_may_be_the_stop_token() -> None:
    tokenizer = byte_tokenizer(QWEN_MARKS, QWEN_TEMPLATE, eos="<|im_end|>", pad="<|im_end|>")
    assert think_format(FormatSection(), tokenizer).stop_ids == (tokenizer.pad_token_id,)


def test_a_tokenizer_without_a_pad_token_is_refused() -> None:
    tokenizer = byte_tokenizer(QWEN_MARKS, QWEN_TEMPLATE, eos="<|im_end|>", pad="<|im_end|>")
    tokenizer.pad_token = None
    with pytest.raises(UserError, match=r"no pad token.*'<\|im_end\|>' will do"):
        think_format(FormatSection(), tokenizer)


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({"cue": ""}, r"data\.format\.cue='': after the close '</think> ' the tokenizer writes an unknown token"),
        ({"cue": "Therefore"}, r"data\.format\.cue='Therefore': after the close '</think> ' the tokenizer writes"),
        (
            {"cue": "answer", "wait": "Hmm"},
            r"data\.format\.wait='Hmm': the tokenizer writes an unknown token \(<unk>\)",
        ),
    ],
)
def test_an_unknown_token_before_an_answer_or_in_an_extension_is_refused(section: dict[str, str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        think_format(FormatSection(open="<think>", close="</think> ", **section), build_tokenizer())


def test_the_default_wait_text_of_a_tokenizer_without_it_is_none() -> None:
    fmt = think_format(FormatSection(open="<think>", close="</think> ", cue="answer"), build_tokenizer())
    assert (fmt.wait, fmt.wait_ids) == ("", ())


@pytest.mark.parametrize("section", [{"name": "think"}, {"open": "<think>\n"}], ids=["by name", "by its strings"])
def test_marks_of_plain_text_are_taken_where_they_are_named(section: dict[str, str]) -> None:
    fmt = think_format(FormatSection(**section, cue="A:"), templates.qwen25())
    assert (fmt.open, fmt.close, fmt.close_tag_ids) == ("<think>\n", "\n</think>\n\n", tuple(b"</think>"))
    assert fmt.forced_close_ids == (10, *b"</think>", TWO_LINES, *b"A:")
    assert fmt.own_close_ids == (*b"</think>", TWO_LINES, *b"A:")
    assert (fmt.banned_ids, len(fmt.banned_marks)) == ((), 2)
    assert "as plain text" in str(fmt)


def test_encoding_adds_nothing() -> None:
    assert encode("<|endoftext|>12", QWEN) == (PAD, 257)


ALWAYS_CLOSED = (
    "{% for m in messages %}<|im_start|>user\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n<think>\n\n</think>\n\n"
)
IN_THE_SYSTEM_TURN = "Write <think>, then </think>.{% for m in messages %}{{ m.content }}{% endfor %}<|im_start|>"


@pytest.mark.parametrize("name", ["qwen3", "think", "qwq"])
def test_a_template_that_closes_the_thought_itself_is_refused(name: str) -> None:
    tokenizer = qwen_like()
    tokenizer.chat_template = ALWAYS_CLOSED
    with pytest.raises(UserError, match=r"closes the thought in the prompt.*enable_thinking, thinking"):
        think_format(FormatSection(name=name), tokenizer)


def test_a_switch_of_another_name_leaves_the_thought_open() -> None:
    tokenizer = qwen_like()
    tokenizer.chat_template = ALWAYS_CLOSED.replace("<think>", "{% if not thinking %}<think>") + "{% endif %}"
    fmt = think_format(FormatSection(name="auto"), tokenizer)
    assert render_prompt("2+2?", tokenizer, fmt).endswith("<|im_start|>assistant\n<think>\n")
    assert render_off_prompt("2+2?", tokenizer, fmt).endswith("<think>\n\n</think>\n\n")


def test_a_close_before_the_question_is_no_closed_thought() -> None:
    tokenizer = qwen_like()
    tokenizer.chat_template = IN_THE_SYSTEM_TURN
    assert think_format(FormatSection(name="think"), tokenizer).close_tag == "</think>"


def test_prompts_by_another_switch_are_of_another_protocol() -> None:
    """Earlier versions did not know the name, and wrote the template's other branch under the hash of its text."""
    tokenizer, text = qwen_like(), "{% for m in messages %}{{ m.content }}{% endfor %}{{ '' if SWITCH else '-' }}"
    hashes = []
    for switch in ("enable_thinking", "thinking"):
        tokenizer.chat_template = text.replace("SWITCH", switch)
        plain = hashlib.sha256(json.dumps(tokenizer.chat_template).encode()).hexdigest()[:16]
        hashes.append(think_format(FormatSection(name="think"), tokenizer).template == plain)
    assert hashes == [True, False]
