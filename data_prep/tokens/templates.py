"""The one place where a chat template is rendered. It never reads the clock: the date for templates is passed in.

Some templates write today's date (`strftime_now`). Prompts would then change at midnight, in the middle of a run, and
the same recipe would prepare another set every day. So the caller passes the date: `data.format.date`, by default the
day on which the run began.
"""

from __future__ import annotations

import datetime
import json
from functools import lru_cache
from typing import Any

from jinja2 import TemplateError, meta
from transformers import PreTrainedTokenizerBase
from transformers.utils.chat_template_utils import _compile_jinja_template

from recipes.errors import UserError

CLOCK = "strftime_now"
"""the function with which templates of transformers read the time"""

SWITCHES = ("enable_thinking", "thinking", "enable_reasoning", "reasoning")
"""the variables with which templates turn thinking on or off; each takes true or false"""


@lru_cache(maxsize=16)
def _asked_for(template: str) -> tuple[str, ...]:
    """The SWITCHES that a template reads and does not set itself."""
    environment = _compile_jinja_template(template).environment
    asked = meta.find_undeclared_variables(environment.parse(template))
    return tuple(name for name in SWITCHES if name in asked)


def switches_of(tokenizer: PreTrainedTokenizerBase) -> tuple[str, ...]:
    """The switches of the tokenizer's default template. jinja2.TemplateError or ValueError if it is invalid."""
    return _asked_for(tokenizer.get_chat_template())


def template_date(date: datetime.date | None, tokenizer: PreTrainedTokenizerBase) -> str:
    """The date that the tokenizer's template writes, as 2026-07-31; "" if it writes none. date: None means today."""
    if CLOCK not in json.dumps(tokenizer.chat_template):
        return ""
    return (date or datetime.date.today()).isoformat()


def render_template(question: str, tokenizer: PreTrainedTokenizerBase, thinking: str, date: str) -> str:
    """The chat template's own prompt for one question.

    thinking: "on" or "off", for templates that have one of SWITCHES. date: as `template_date` gives it. UserError if
    the template refuses a single question, or if there are several templates and none is the default.
    """
    messages = [{"role": "user", "content": question}]
    try:
        switches: dict[str, Any] = dict.fromkeys(switches_of(tokenizer), thinking == "on")
        switches["add_generation_prompt"] = True
        if date:
            return _on_day(messages, tokenizer, switches, date)
        return str(tokenizer.apply_chat_template(messages, tokenize=False, **switches))
    except (TemplateError, ValueError) as fault:
        said = (str(fault).strip() or type(fault).__name__).splitlines()[0][:200]
        raise UserError(
            f"model: the tokenizer's chat template cannot render a single question ({said}); use a model whose "
            "(default) template takes a single user message, or change the template in its folder"
        ) from None


def _on_day(
    messages: list[dict[str, str]], tokenizer: PreTrainedTokenizerBase, switches: dict[str, Any], date: str
) -> str:
    # `apply_chat_template` always lets templates read the clock, and converts a function that is passed to it to text.
    # So the compiled template is rendered directly, with the same variables; a variable hides the global of that name.
    template = _compile_jinja_template(tokenizer.get_chat_template())
    clock = datetime.datetime.fromisoformat(date).strftime  # midnight, for templates that also write the hour
    variables = {**tokenizer.special_tokens_map, **switches, CLOCK: clock}
    return str(template.render(messages=messages, tools=None, documents=None, **variables))
