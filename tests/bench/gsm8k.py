"""What benchmarks of the data share: grade-school traces, a byte-level BPE trained on the fly, a small random Qwen3."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from data_prep.trace import Trace
from recipes.paths import ROOT

FILE = ROOT / ".." / "shared" / "data" / "gsm8k_train_part.jsonl"
MARKS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>")
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def read(file: Path = FILE) -> list[Trace]:
    """The problems with their human solutions as thinking; SystemExit where the file is not there."""
    if not file.is_file():
        raise SystemExit(f"no {file}: this benchmark needs GSM8K rows with problem, solution and answer there")
    with file.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [Trace(row["id"], row["problem"], row["solution"], row["answer"], "gsm8k") for row in rows]


def tokenizer_of(traces: list[Trace], words: int = 4096) -> PreTrainedTokenizerFast:
    """A byte-level BPE of `words` tokens trained on the traces, with marks and template like Qwen3's."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        (f"{t.question}\n{t.thinking}" for t in traces),
        trainers.BpeTrainer(vocab_size=words, initial_alphabet=alphabet, show_progress=False),
    )
    bpe.add_tokens([AddedToken(mark, special=not mark.endswith("think>"), normalized=False) for mark in MARKS])
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def small_qwen3(tokenizer: PreTrainedTokenizerFast, hidden: int = 256, layers: int = 4) -> Qwen3ForCausalLM:
    """Random weights, heads of 64, tied embeddings."""
    torch.manual_seed(0)
    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=hidden,
            num_hidden_layers=layers,
            num_attention_heads=hidden // 64,
            num_key_value_heads=hidden // 128,
            head_dim=64,
            intermediate_size=3 * hidden,
            max_position_embeddings=4096,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
