"""Golden prompts, forced closes and thinking-off prompts of each kind of thinking model, as text and as token ids."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import pytest
import trl
from transformers import PreTrainedTokenizerFast

from data_prep.tokens.prompts import (
    ThinkFormat,
    encode,
    render_completion,
    render_off_prompt,
    render_prompt,
    think_format,
)
from data_prep.tokens.think_formats import FORMATS, found_in_template
from data_prep.tokens.tokenize import label_trace
from data_prep.trace import Trace
from recipes.data import FormatSection
from recipes.errors import UserError
from tests.data_prep import templates
from tests.data_prep.tokenizers import QWEN_MARKS, QWEN_TEMPLATE, TWO_LINES, byte_tokenizer, qwen_like, r1_like

QUESTION = "2+2?"
PAD, START, END, THINK, CLOSE = range(258, 263)  # ChatML marks, then those of a thought
BOS, R1_END, _, R1_USER, ASSISTANT, R1_THINK, R1_CLOSE = range(258, 265)
SYS, ASK, SAY, REASON, UNREASON = range(260, 265)
SYSTEM = b"system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant."
OWN = {"name": "custom", "open": "[REASON] ", "close": " [/REASON]\n", "stop": "<end>"}


@dataclass(frozen=True)
class Golden:
    """One kind of model: its tokenizer, the recipe's data.format, and what must come of them."""

    tokenizer: PreTrainedTokenizerFast
    section: dict[str, Any]
    prompt: str
    prompt_ids: list[int]
    forced_close: str
    forced_close_ids: list[int]
    off: str
    off_ids: list[int]
    stop_ids: list[int]

    @property
    def format(self) -> ThinkFormat:
        return think_format(FormatSection(**self.section), self.tokenizer)


CHATML = [START, *b"user\n2+2?", END, 10, START, *b"assistant\n"]
WITH_SYSTEM = [START, *SYSTEM, END, 10, *CHATML]
GOLDEN = {
    "qwen3": Golden(
        templates.qwen3(),
        {"name": "qwen3", "cue": "A:"},
        "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n<think>\n",
        [*CHATML, THINK, 10],
        "\n</think>\n\nA:",
        [10, CLOSE, TWO_LINES, *b"A:"],
        "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\nA:",
        [*CHATML, THINK, TWO_LINES, CLOSE, TWO_LINES, *b"A:"],
        [END],
    ),
    "deepseek_r1": Golden(
        templates.deepseek_r1(),
        {"name": "deepseek_r1", "cue": "A:"},
        "<｜begin▁of▁sentence｜><｜User｜>2+2?<｜Assistant｜><think>\n",
        [BOS, R1_USER, *b"2+2?", ASSISTANT, R1_THINK, 10],
        "\n</think>\n\nA:",
        [10, R1_CLOSE, TWO_LINES, *b"A:"],
        "<｜begin▁of▁sentence｜><｜User｜>2+2?<｜Assistant｜><think>\n\n</think>\n\nA:",
        [BOS, R1_USER, *b"2+2?", ASSISTANT, R1_THINK, TWO_LINES, R1_CLOSE, TWO_LINES, *b"A:"],
        [R1_END],
    ),
    "s1": Golden(
        templates.qwen25(),
        {"name": "s1", "cue": "Final Answer:"},
        "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n<|im_start|>think\n",
        [*WITH_SYSTEM, START, *b"think\n"],
        "\n<|im_start|>answer\nFinal Answer:",
        [10, START, *b"answer\nFinal Answer:"],
        "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n<|im_start|>think\n\n"
        "<|im_start|>answer\nFinal Answer:",
        [*WITH_SYSTEM, START, *b"think", TWO_LINES, START, *b"answer\nFinal Answer:"],
        [END],
    ),
    "qwq": Golden(
        templates.qwq(),
        {"name": "qwq"},
        "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n<think>\n",
        [*CHATML, THINK, 10],
        "\n</think>\n\n",
        [10, CLOSE, TWO_LINES],
        "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
        [*CHATML, THINK, TWO_LINES, CLOSE, TWO_LINES],
        [END],
    ),
    "given in the recipe": Golden(
        templates.own(),
        {**OWN, "cue": "A:"},
        "[SYS]think[ASK]2+2?[SAY][REASON] ",
        [SYS, *b"think", ASK, *b"2+2?", SAY, REASON, 32],
        " [/REASON]\nA:",
        [32, UNREASON, *b"\nA:"],
        "[ASK]2+2?[SAY]A:",
        [ASK, *b"2+2?", SAY, *b"A:"],
        [259],
    ),
}
ALL = pytest.mark.parametrize("golden", GOLDEN.values(), ids=GOLDEN)


@ALL
def test_the_prompt(golden: Golden) -> None:
    text = render_prompt(QUESTION, golden.tokenizer, golden.format)
    assert (text, list(encode(text, golden.tokenizer))) == (golden.prompt, golden.prompt_ids)


@ALL
def test_the_forced_close(golden: Golden) -> None:
    fmt = golden.format
    assert fmt.close + fmt.cue == golden.forced_close
    assert list(fmt.forced_close_ids) == golden.forced_close_ids


@ALL
def test_the_prompt_with_thinking_off(golden: Golden) -> None:
    text = render_off_prompt(QUESTION, golden.tokenizer, golden.format)
    assert (text, list(encode(text, golden.tokenizer))) == (golden.off, golden.off_ids)


@ALL
def test_the_stop_token_and_the_marks_that_an_answer_may_not_hold(golden: Golden) -> None:
    fmt = golden.format
    marks = {encode(mark, golden.tokenizer)[0] for mark in (fmt.open_tag, fmt.close_tag)}
    assert (list(fmt.stop_ids), set(fmt.banned_ids)) == (golden.stop_ids, marks)


@ALL
def test_a_trace_is_written_as_a_sweep_asks_and_closes(golden: Golden) -> None:
    trace, fmt = Trace("t", QUESTION, "so 4", "four", "f"), golden.format
    row = label_trace(trace, golden.tokenizer, fmt)
    close = golden.forced_close[: len(golden.forced_close) - len(fmt.cue)]
    assert render_completion(trace, fmt) == f"so 4{close}four{fmt.stop}"
    assert row.input_ids[: len(golden.prompt_ids)] == golden.prompt_ids
    assert golden.tokenizer.decode(row.input_ids) == f"{golden.prompt}so 4{close}four{fmt.stop}"


def test_earlier_thinking_is_no_part_of_a_prompt() -> None:
    turns = [
        {"role": "user", "content": "1+1?"},
        {"role": "assistant", "content": "<think>\nhm\n</think>\n\n2"},
        {"role": "user", "content": "2+2?"},
    ]
    for tokenizer in (templates.qwen3(), templates.qwq(), templates.deepseek_r1()):
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        assert "hm" not in text and "2" in text


USER, SYSTEM_TURN = {"role": "user", "content": "2+2?"}, {"role": "system", "content": "Be brief."}
TALKS = [
    [USER],
    [SYSTEM_TURN, USER],
    [USER, {"role": "assistant", "content": "4"}],
    [USER, {"role": "assistant", "content": "<think>\nhm\n</think>\n\n4"}, USER],
    [USER, {"role": "assistant", "content": "<think>\nhm\n</think>\n\n4"}],
    [SYSTEM_TURN, USER, {"role": "assistant", "content": "4", "reasoning_content": "\nhm\n"}],
]


@pytest.mark.parametrize(
    ("tokenizer", "file"),
    [
        (templates.qwen3(), "qwen3.jinja"),
        (templates.deepseek_r1(), "deepseek_r1_distill.jinja"),
        (templates.qwen25(), "qwen2_5.jinja"),
    ],
)
def test_templates_write_what_the_real_ones_write(tokenizer: PreTrainedTokenizerFast, file: str) -> None:
    """TRL carries copies of the models' own templates."""
    real = Path(str(trl.__file__)).parent / "chat_templates" / file
    if not real.is_file():
        pytest.skip(f"this TRL has no {file}")
    for talk in TALKS:
        for keys in ({}, {"enable_thinking": True}, {"enable_thinking": False}):
            for ask in (True, False):
                ours, theirs = (
                    tokenizer.apply_chat_template(
                        talk, chat_template=text, tokenize=False, add_generation_prompt=ask, **keys
                    )
                    for text in (tokenizer.chat_template, real.read_text())
                )
                assert ours == theirs, (talk, keys)


@pytest.mark.parametrize(
    ("tokenizer", "name"),
    [
        (templates.qwen3(), "qwen3"),
        (templates.deepseek_r1(), "deepseek_r1"),
        (templates.qwq(), "qwq"),
        (templates.qwen25(), None),
        (templates.own(), None),
        (qwen_like(), "qwen3"),
        (r1_like(), "think"),
    ],
)
def test_the_format_that_a_template_shows(tokenizer: PreTrainedTokenizerFast, name: str | None) -> None:
    assert found_in_template(tokenizer) == name
    if name is not None:
        assert think_format(FormatSection(), tokenizer).name == name


@pytest.mark.parametrize(
    ("tokenizer", "section", "says"),
    [
        (
            templates.qwen25(),
            {},
            "data.format.name=auto: neither tokens nor template of this tokenizer show how the model thinks; "
            "formats that fit it: s1, think (as plain text); set data.format.name",
        ),
        (templates.own(), {}, "formats that fit it: think (as plain text); set data.format.name to the one it was"),
        (
            templates.qwen25(),
            {"name": "qwen3"},
            "data.format.name=qwen3: this tokenizer has no token <think>, </think>; formats that fit it: s1, "
            "think (as plain text);",
        ),
        (
            templates.qwen3(),
            {"name": "deepseek_r1"},
            "name=deepseek_r1: this tokenizer has no token <｜Assistant｜>; "
            "formats that fit it: qwen3, qwq, s1, think;",
        ),
        (
            templates.deepseek_r1(),
            {"name": "s1"},
            "data.format.name=s1: this tokenizer has no token <|im_start|>; formats that fit it: deepseek_r1, think;",
        ),
        (
            templates.qwen25(),
            {"open": "Thoughts:", "close": "The end"},
            "data.format.close: 'The end' is not a token of this tokenizer, and as plain words it cannot be "
            "distinguished from ordinary text; give a mark with a sign, such as <think>; formats that fit it: s1,",
        ),
    ],
)
def test_a_format_that_does_not_fit_is_refused_with_those_that_do(
    tokenizer: PreTrainedTokenizerFast, section: dict[str, Any], says: str
) -> None:
    with pytest.raises(UserError) as caught:
        think_format(FormatSection(**section), tokenizer)
    assert says in str(caught.value)


def test_strings_without_a_name_are_a_custom_format_as_before() -> None:
    fmt = think_format(FormatSection(open="<think>"), templates.qwen3())
    assert (fmt.name, fmt.open, fmt.close) == ("custom", "<think>", "\n</think>\n\n")


def test_a_template_that_writes_the_tags_as_plain_text_shows_the_format() -> None:
    tokenizer = byte_tokenizer(QWEN_MARKS[:3], QWEN_TEMPLATE, "<|im_end|>", "<|endoftext|>")
    fmt = think_format(FormatSection(), tokenizer)
    assert (found_in_template(tokenizer), fmt.name) == ("think", "think")
    prompt = render_prompt("2+2?", tokenizer, fmt)
    assert prompt == "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n<think>\n"


def test_a_switch_for_another_format_is_not_taken_for_this_one() -> None:
    tokenizer = templates.qwen3()
    text = render_off_prompt(QUESTION, tokenizer, think_format(FormatSection(name="s1"), tokenizer))
    assert text.endswith("<|im_start|>assistant\n<|im_start|>think\n\n<|im_start|>answer\n") and "</think>" not in text


def test_the_table_and_the_recipe_name_the_same_formats() -> None:
    named = set(get_args(FormatSection.model_fields["name"].annotation)) - {"auto", "custom"}
    assert named == set(FORMATS)


def test_another_template_is_another_measurement() -> None:
    tokenizers = [templates.qwen3(), templates.qwq()]
    hashes = [think_format(FormatSection(name="think"), tokenizer).template for tokenizer in tokenizers]
    assert all(a != b and len(a) == 16 for a, b in pairwise(hashes))
