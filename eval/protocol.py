"""What defines a sweep: budgets, caps, sampling and strings. Scores compare only where their protocol hash is one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from data_prep.problems import Suite
from data_prep.prompts import ThinkFormat
from recipes.errors import UserError
from recipes.sweeps import SweepSection

PROTOCOL_VERSION = 1


@dataclass(frozen=True)
class Protocol:
    """The rules by which an engine thinks and answers; all counts in tokens.

    vocabulary_size: ids from here on belong to no token and are never sampled.
    """

    budgets: tuple[int, ...]
    answer_tokens: int
    extend_to: int
    max_extensions: int
    temperature: float
    top_p: float
    top_k: int
    min_p: float
    seed: int
    vocabulary_size: int
    format: ThinkFormat


def make_protocol(section: SweepSection, fmt: ThinkFormat, vocabulary_size: int) -> Protocol:
    """The protocol of a recipe's sweep section for one tokenizer.

    UserError where a thought is to be extended by nothing.
    """
    if section.extend_to and not fmt.wait_ids:
        raise UserError(f"sweep.extend_to={section.extend_to} needs data.format.wait, the text that is appended; "
                        "it is empty")
    return Protocol(
        budgets=tuple(section.budgets), answer_tokens=section.answer_tokens, extend_to=section.extend_to,
        max_extensions=section.max_extensions, temperature=section.temperature, top_p=section.top_p,
        top_k=section.top_k, min_p=section.min_p, seed=section.seed, vocabulary_size=vocabulary_size, format=fmt)


def protocol_hash(protocol: Protocol, suite: Suite, samples: int, versions: tuple[str, ...]) -> str:
    """16 hex digits over all that a score depends on beside the weights; `versions`: those of engine and grader."""
    parts = [PROTOCOL_VERSION, asdict(protocol), suite.hash, suite.grader, samples, versions]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
