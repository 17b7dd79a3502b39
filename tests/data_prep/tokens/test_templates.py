"""Templates are rendered on a given day, whatever the clock says, and as transformers renders them."""

from __future__ import annotations

import datetime

import pytest
from transformers import PreTrainedTokenizerBase

from data_prep.tokens.templates import SWITCHES, render_template, switches_of, template_date
from recipes.errors import UserError
from tests.data_prep import templates

DAY = datetime.date(2026, 7, 31)
DATED, QWEN3 = templates.dated(), templates.qwen3()


def by_transformers(tokenizer: PreTrainedTokenizerBase, enable_thinking: bool) -> str:
    turns = [{"role": "user", "content": "2+2?"}]
    return str(
        tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=True, enable_thinking=enable_thinking
        )
    )


def test_the_day_that_is_given_is_written() -> None:
    assert render_template("2+2?", DATED, "on", "2026-07-31") == (
        "<|im_start|>system\nToday Date: 31 Jul 2026<|im_end|>\n"
        "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n"
    )


@pytest.mark.parametrize("thinking", ["on", "off"])
def test_today_is_rendered_as_transformers_renders_it(thinking: str) -> None:
    before = datetime.date.today().isoformat()
    text = by_transformers(DATED, enable_thinking=thinking == "on")
    days = {before, datetime.date.today().isoformat()}  # two, should midnight come between
    assert text in {render_template("2+2?", DATED, thinking, day) for day in days}


@pytest.mark.parametrize("thinking", ["on", "off"])
def test_a_template_without_a_date_is_rendered_as_transformers_renders_it(thinking: str) -> None:
    assert render_template("2+2?", QWEN3, thinking, "") == by_transformers(QWEN3, enable_thinking=thinking == "on")


def test_the_special_tokens_are_known_to_a_dated_template() -> None:
    tokenizer = templates.dated()
    tokenizer.chat_template = "{{ eos_token }}{{ strftime_now('%H:%M %j') }}"
    assert render_template("2+2?", tokenizer, "on", "2026-02-01") == "<|im_end|>00:00 032"


def test_only_a_template_that_writes_a_date_has_one() -> None:
    assert (template_date(DAY, DATED), template_date(DAY, QWEN3)) == ("2026-07-31", "")


def test_without_a_day_it_is_today() -> None:
    before = datetime.date.today()
    assert template_date(None, DATED) in {before.isoformat(), datetime.date.today().isoformat()}


def test_of_several_templates_one_that_writes_a_date_is_enough() -> None:
    tokenizer = templates.qwen3()
    tokenizer.chat_template = {"default": templates.QWEN3, "tool_use": templates.DATED}
    assert template_date(DAY, tokenizer) == "2026-07-31"


@pytest.mark.parametrize("date", ["", "2026-07-31"])
def test_a_template_that_refuses_a_single_question_is_a_mistake(date: str) -> None:
    tokenizer = templates.qwen3()
    tokenizer.chat_template = "{{ raise_exception('a system turn comes first') }}{# strftime_now #}"
    with pytest.raises(UserError, match=r"cannot render a single question \(a system turn comes first\)"):
        render_template("2+2?", tokenizer, "on", date)


def test_several_templates_without_a_default_are_a_mistake() -> None:
    tokenizer = templates.qwen3()
    tokenizer.chat_template = {"a": templates.QWEN3, "b": templates.QWEN3}
    with pytest.raises(UserError, match="multiple chat templates with no default"):
        render_template("2+2?", tokenizer, "on", "")


SWITCHED = (
    "{% for m in messages %}<|im_start|>user\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
    "{% if not SWITCH %}<think>\n\n</think>\n\n{% endif %}"
)


@pytest.mark.parametrize("switch", SWITCHES)
def test_each_name_of_the_switch_is_known(switch: str) -> None:
    tokenizer = templates.qwen3()
    tokenizer.chat_template = SWITCHED.replace("SWITCH", switch)
    on, off = (render_template("2+2?", tokenizer, thinking, "") for thinking in ("on", "off"))
    assert on.endswith("<|im_start|>assistant\n") and off.endswith("<think>\n\n</think>\n\n")
    assert switches_of(tokenizer) == (switch,)


def test_a_name_that_a_template_sets_itself_is_no_switch() -> None:
    tokenizer = templates.qwen3()
    tokenizer.chat_template = "{% set thinking = 'a' %}{{ thinking }}{{ messages[0].reasoning }}"
    assert switches_of(tokenizer) == ()
    assert render_template("2+2?", tokenizer, "on", "") == "a"
