"""The inputs on which an export is compared: prompts of the run's own suite, kept in its folder, and random tokens."""

from __future__ import annotations

import json
from dataclasses import dataclass

import torch
from torch import Tensor

from data_prep.tokens.prompts import encode, render_prompt
from eval.sweep import SweepSpec
from recipes.errors import UserError
from runtime.files import write_whole
from runtime.run_folder import RunFolder

PROMPTS, PROMPT_TOKENS = 16, 64
RANDOM, RANDOM_TOKENS = 8, 48


@dataclass(frozen=True)
class Probes:
    """prompts: the last tokens of up to 16 prompts, equally many of each, [prompts, tokens]; None for a run of an older
    version, which kept none. random: token ids from the whole vocabulary, [8, 48]."""

    prompts: Tensor | None
    random: Tensor


def keep_probes(spec: SweepSpec, suite: str, folder: RunFolder) -> None:
    """Stores the prompts of the first problems of the verdict suite, as token ids."""
    problems = next(s for s in spec.suites if s.name == suite).problems[:PROMPTS]
    texts = [render_prompt(problem.question, spec.tokenizer, spec.protocol.format) for problem in problems]
    write_whole(folder.probes, json.dumps([encode(text, spec.tokenizer)[-PROMPT_TOKENS:] for text in texts]) + "\n")


def read_probes(folder: RunFolder, vocabulary: int) -> Probes:
    """The prompts that the run stored, truncated to the shortest so that they need no padding, and random tokens."""
    generator = torch.Generator().manual_seed(0)
    random = torch.randint(vocabulary, (RANDOM, RANDOM_TOKENS), generator=generator)
    if not folder.probes.is_file():
        return Probes(None, random)
    try:
        prompts: list[list[int]] = json.loads(folder.probes.read_text(encoding="utf-8"))
        shortest = min(map(len, prompts))
        return Probes(torch.tensor([prompt[-shortest:] for prompt in prompts], dtype=torch.long), random)
    except (ValueError, TypeError) as fault:
        raise UserError(f"{folder.probes}: cannot be read ({fault}); remove it to use only random tokens") from None
