"""The one place where a chat template is rendered. It never asks the clock: the day that a template may write is given.

Some templates write today's date (`strftime_now`). Prompts would then change at midnight, in the middle of a run, and
the same recipe would prepare another set every day. So whoever renders names the day: `data.format.date`, by default
the day on which the run began.
"""

from __future__ import annotations

import datetime
import json
from typing import Any

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase
from transformers.utils.chat_template_utils import _compile_jinja_template

from recipes.errors import UserError

CLOCK = "strftime_now"
"""the function by which templates of transformers ask for the time"""


def template_date(date: datetime.date | None, tokenizer: PreTrainedTokenizerBase) -> str:
    """The day that the tokenizer's template writes, as 2026-07-31; "" where it writes none. date: None means today."""
    if CLOCK not in json.dumps(tokenizer.chat_template):
        return ""
    return (date or datetime.date.today()).isoformat()


def render_template(question: str, tokenizer: PreTrainedTokenizerBase, thinking: str, date: str) -> str:
    """The chat template's own prompt for one question.

    thinking: "on" or "off", for templates that have a switch for it. date: as `template_date` gives it. UserError where
    the template refuses a single question, or where none of several is the default.
    """
    messages = [{"role": "user", "content": question}]
    switches: dict[str, Any] = {"add_generation_prompt": True, "enable_thinking": thinking == "on"}
    try:
        if date:
            return _on_day(messages, tokenizer, switches, date)
        return str(tokenizer.apply_chat_template(messages, tokenize=False, **switches))
    except (TemplateError, ValueError) as fault:
        said = (str(fault).strip() or type(fault).__name__).splitlines()[0][:200]
        raise UserError(
            f"model: the tokenizer's chat template cannot write the prompt of one question ({said}); use a model whose "
            "(default) template takes a single user message, or change the template in its folder"
        ) from None


def _on_day(
    messages: list[dict[str, str]], tokenizer: PreTrainedTokenizerBase, switches: dict[str, Any], date: str
) -> str:
    # `apply_chat_template` always lets templates read the clock, and turns a function that is passed to it into text.
    # So the compiled template is rendered directly, with the same variables; a variable hides the global of its name.
    template = _compile_jinja_template(tokenizer.get_chat_template())
    clock = datetime.datetime.fromisoformat(date).strftime  # midnight, for a template that writes the hour too
    variables = {**tokenizer.special_tokens_map, **switches, CLOCK: clock}
    return str(template.render(messages=messages, tools=None, documents=None, **variables))
