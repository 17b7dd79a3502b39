"""Small tokenizers whose ids can be written by hand: every byte is its own id, and two merges stand at 256 and 257."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

QWEN_MARKS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>")
PAD, IM_START, IM_END, THINK, CLOSE = range(258, 263)
TWO_LINES = 256  # "\n\n" as one token
QWEN_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is not defined or not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
R1_MARKS = ("<|pad|>", "<|User|>", "<|Assistant|>", "<think>", "</think>", "<|end|>")
R1_TEMPLATE = (
    "{% for m in messages %}<|User|>{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}<|Assistant|><think>\n{% endif %}"
)


def spelled_bytes() -> dict[int, str]:
    """The letter by which a byte-level BPE writes each byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {**{byte: chr(byte) for byte in plain}, **{byte: chr(256 + i) for i, byte in enumerate(others)}}


LINE = spelled_bytes()[10]
PIECES = [("a", "<"), ("t", "h"), ("i", "n"), ("<", "/"), (".", "</"), (LINE, LINE), (">", LINE * 2)]
"""merges of a tokenizer that writes <think> as `<`, `th`, `in`, `k`, `>`; their tokens have the ids from 256 on"""
TH, IN, END, DOT_END, LINES, SHUT_LINES = range(257, 263)


def text_mark_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE whose marks of a thought are plain text, merged with what stands beside them."""
    return byte_tokenizer(QWEN_MARKS[:3], QWEN_TEMPLATE, "<|im_end|>", "<|endoftext|>", PIECES)


def byte_tokenizer(
    marks: tuple[str, ...],
    template: str,
    eos: str,
    pad: str,
    merges: Sequence[tuple[str, str]] = ((LINE, LINE), ("1", "2")),
) -> PreTrainedTokenizerFast:
    """A byte-level BPE in which id = byte; the merges' tokens follow from 256 on ("\\n\\n", "12"), then the marks."""
    vocabulary = {letter: byte for byte, letter in spelled_bytes().items()}
    vocabulary |= {left + right: 256 + place for place, (left, right) in enumerate(merges)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=list(merges)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens([AddedToken(mark, special=not mark.endswith("think>"), normalized=False) for mark in marks])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=eos,
        pad_token=pad,
        chat_template=template,
        clean_up_tokenization_spaces=False,
    )


def qwen_like() -> PreTrainedTokenizerFast:
    """Marks and template as Qwen3 has them: thinking is on by an argument, the model opens the thought itself."""
    return byte_tokenizer(QWEN_MARKS, QWEN_TEMPLATE, eos="<|im_end|>", pad="<|endoftext|>")


def r1_like() -> PreTrainedTokenizerFast:
    """As DeepSeek-R1: the template's generation prompt opens the thought."""
    return byte_tokenizer(R1_MARKS, R1_TEMPLATE, eos="<|end|>", pad="<|pad|>")
