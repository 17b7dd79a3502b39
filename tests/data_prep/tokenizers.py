"""Small tokenizers whose ids can be written by hand: every byte is its own id, and two merges stand at 256 and 257."""

from __future__ import annotations

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


def byte_tokenizer(marks: tuple[str, ...], template: str, eos: str, pad: str) -> PreTrainedTokenizerFast:
    """A byte-level BPE in which id = byte, "\\n\\n" is 256, "12" is 257, and the marks follow from 258 on."""
    letters = spelled_bytes()
    vocabulary = {letter: byte for byte, letter in letters.items()}
    vocabulary |= {letters[10] * 2: 256, "12": 257}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[(letters[10], letters[10]), ("1", "2")]))
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
