"""The model's own thoughts to measure on: its continuations of the prompts of the recipe's traces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from data_prep.tokens.tokenize import IGNORED, Row
from prune.calibration import Sequences
from recipes.prune import OwnThoughtsCalibration
from runtime.progress import counted
from runtime.pulse import beat


def own_thoughts(
    section: OwnThoughtsCalibration, rows: Sequence[Row], model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> Sequences:
    """The model's continuation of each row's prompt, instead of the row's own thinking and answer.

    It decodes up to the tokenizer's end of text or the section's token limit; `facts` count the thoughts that
    terminated. One prompt at a time, so that no padding separates a prompt from its continuation.
    """
    stop, thoughts, ended = tokenizer.eos_token_id, [], 0
    generate: Any = model.generate  # torch's stubs type it as a tensor
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(section.seed)
        for row in counted(rows, "the model's own thoughts", len(rows), "thoughts"):
            prompt = prompt_of(row)
            ids = torch.tensor([prompt], device=model.device)
            written: list[int] = generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=_plain_generation(section, stop)
            )[0, len(prompt) :].tolist()
            beat(len(written))
            ended += written[-1] == stop
            thoughts.append(Row(row.id, prompt + written, [IGNORED] * len(prompt) + written))
    return Sequences(thoughts, {"thoughts_ended": ended})


def prompt_of(row: Row) -> list[int]:
    """The tokens of a row that are not learned."""
    return [token for token, label in zip(row.input_ids, row.labels, strict=True) if label == IGNORED]


def _plain_generation(section: OwnThoughtsCalibration, stop: int | None) -> GenerationConfig:
    """Sampling by the section alone: sets every field that a model's own generation config could bring in."""
    return GenerationConfig(
        max_new_tokens=section.max_tokens,
        do_sample=section.temperature > 0,
        temperature=section.temperature or 1.0,
        top_k=0,
        top_p=1.0,
        repetition_penalty=1.0,
        eos_token_id=stop,
        pad_token_id=stop,
    )
