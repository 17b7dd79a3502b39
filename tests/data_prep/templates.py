"""Chat templates with the logic of real thinking models', and tokenizers of single bytes that carry them."""

from __future__ import annotations

from transformers import PreTrainedTokenizerFast

from tests.data_prep.tokenizers import byte_tokenizer

CHATML_MARKS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
THINK_MARKS = (*CHATML_MARKS, "<think>", "</think>")
R1_MARKS = (
    "<｜begin▁of▁sentence｜>",
    "<｜end▁of▁sentence｜>",
    "<｜▁pad▁｜>",
    "<｜User｜>",
    "<｜Assistant｜>",
    "<think>",
    "</think>",
)

# Qwen3: thinking of earlier turns is dropped, that after the last question kept; an empty thought where it is off.
QWEN3 = """
{%- if messages[0].role == 'system' -%}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif -%}
{%- set turns = namespace(last_question=-1) -%}
{%- for message in messages -%}
    {%- if message.role == 'user' -%}
        {%- set turns.last_question = loop.index0 -%}
    {%- endif -%}
{%- endfor -%}
{%- for message in messages -%}
    {%- set content = message.content if message.content is string else '' -%}
    {%- if message.role == 'user' or (message.role == 'system' and not loop.first) -%}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n' }}
    {%- elif message.role == 'assistant' -%}
        {%- set thought = message.reasoning_content if message.reasoning_content is string else '' -%}
        {%- if message.reasoning_content is not string and '</think>' in content -%}
            {%- set thought = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') -%}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') -%}
        {%- endif -%}
        {{- '<|im_start|>assistant\\n' }}
        {%- if loop.index0 > turns.last_question and (loop.last or thought) -%}
            {{- '<think>\\n' + thought.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
        {%- else -%}
            {{- content }}
        {%- endif -%}
        {{- '<|im_end|>\\n' }}
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false -%}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif -%}
{%- endif -%}
"""

# DeepSeek-R1 and its distilled models: begin of sentence first, the system text bare, and the thought opened.
DEEPSEEK_R1 = """
{%- set parts = namespace(system='') -%}
{%- for message in messages if message['role'] == 'system' -%}
    {%- set parts.system = message['content'] -%}
{%- endfor -%}
{{- bos_token + parts.system }}
{%- for message in messages -%}
    {%- if message['role'] == 'user' -%}
        {{- '<｜User｜>' + message['content'] }}
    {%- elif message['role'] == 'assistant' and message['content'] is not none -%}
        {%- set content = message['content'] -%}
        {%- if '</think>' in content -%}
            {%- set content = content.split('</think>')[-1] -%}
        {%- endif -%}
        {{- '<｜Assistant｜>' + content + '<｜end▁of▁sentence｜>' }}
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{- '<｜Assistant｜><think>\\n' }}
{%- endif -%}
"""

# Qwen2.5, from which s1.1 is made: a system prompt of its own, and no thinking anywhere.
QWEN25 = """
{%- if messages[0]['role'] == 'system' -%}
    {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
{%- else -%}
    {{- '<|im_start|>system\\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\\n' }}
{%- endif -%}
{%- for message in messages -%}
    {%- if message.role == 'user' or message.role == 'assistant' or (message.role == 'system' and not loop.first) -%}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{- '<|im_start|>assistant\\n' }}
{%- endif -%}
"""

# A hybrid model whose template writes the day on which it is asked, as those of Llama 3 do.
DATED = """
{%- if not date_string is defined -%}
    {%- set date_string = strftime_now('%d %b %Y') -%}
{%- endif -%}
{{- '<|im_start|>system\\nToday Date: ' + date_string + '<|im_end|>\\n' }}
""" + QWEN3.lstrip()

# QwQ: ChatML without a system prompt of its own, earlier thinking dropped, the thought opened.
QWQ = """
{%- if messages[0]['role'] == 'system' -%}
    {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
{%- endif -%}
{%- for message in messages -%}
    {%- if message.role == 'user' or (message.role == 'system' and not loop.first) -%}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
    {%- elif message.role == 'assistant' -%}
        {{- '<|im_start|>assistant\\n' + message.content.split('</think>')[-1].lstrip('\\n') + '<|im_end|>\\n' }}
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{- '<|im_start|>assistant\\n<think>\\n' }}
{%- endif -%}
"""

# A model of a lab of its own: thinking by a word in the system prompt, the thought between marks of its own.
OWN_MARKS = ("<pad>", "<end>", "[SYS]", "[ASK]", "[SAY]", "[REASON]", "[/REASON]")
OWN = """
{%- if enable_thinking is defined and enable_thinking -%}
    {{- '[SYS]think' }}
{%- endif -%}
{%- for message in messages -%}
    {{- '[ASK]' + message.content }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{- '[SAY]' }}{%- if enable_thinking is defined and enable_thinking -%}{{- '[REASON]' }}{%- endif -%}
{%- endif -%}
"""


def qwen3() -> PreTrainedTokenizerFast:
    """Qwen3, hybrid: the model writes <think> itself unless thinking is off."""
    return byte_tokenizer(THINK_MARKS, QWEN3, eos="<|im_end|>", pad="<|endoftext|>")


def dated() -> PreTrainedTokenizerFast:
    """As `qwen3`, with a template that writes the date."""
    return byte_tokenizer(THINK_MARKS, DATED, eos="<|im_end|>", pad="<|endoftext|>")


def deepseek_r1() -> PreTrainedTokenizerFast:
    """DeepSeek-R1-Distill-Qwen: marks with fullwidth bars."""
    tokenizer = byte_tokenizer(R1_MARKS, DEEPSEEK_R1, eos="<｜end▁of▁sentence｜>", pad="<｜▁pad▁｜>")
    tokenizer.bos_token = "<｜begin▁of▁sentence｜>"
    return tokenizer


def qwen25() -> PreTrainedTokenizerFast:
    """Qwen2.5-Instruct, whose tokenizer and template s1.1 keeps."""
    return byte_tokenizer(CHATML_MARKS, QWEN25, eos="<|im_end|>", pad="<|endoftext|>")


def qwq() -> PreTrainedTokenizerFast:
    """QwQ-32B: the template opens the thought."""
    return byte_tokenizer(THINK_MARKS, QWQ, eos="<|im_end|>", pad="<|endoftext|>")


def own() -> PreTrainedTokenizerFast:
    """Marks and switch that no named format knows."""
    return byte_tokenizer(OWN_MARKS, OWN, eos="<end>", pad="<pad>")
