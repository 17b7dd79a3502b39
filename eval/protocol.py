"""What defines a sweep: budgets, caps, sampling and strings. Only scores with equal protocol hashes are comparable."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from data_prep.problem import Suite
from data_prep.tokens.prompts import ThinkFormat
from eval.streams import Sampling
from recipes.errors import UserError
from recipes.sweep import SweepSection

PROTOCOL_VERSION = 4


@dataclass(frozen=True)
class Protocol:
    """The rules of thinking and answering for all engines; all counts are in tokens.

    budgets: increasing; a first budget of 0 is the answer with thinking off. stop_loops: a thought that loops
    (`eval.looping`) is stopped there. vocabulary_size: ids from here on belong to no token and are never sampled.
    """

    budgets: tuple[int, ...]
    answer_tokens: int
    extend_to: int
    max_extensions: int
    temperature: float
    top_p: float
    top_k: int
    seed: int
    vocabulary_size: int
    format: ThinkFormat
    min_p: float = 0.0
    stop_loops: bool = False

    @property
    def sampling(self) -> Sampling:
        """How a token is drawn if `temperature` is above 0."""
        return Sampling(self.temperature, self.top_p, self.top_k, self.min_p)


def make_protocol(section: SweepSection, fmt: ThinkFormat, vocabulary_size: int) -> Protocol:
    """The protocol of a recipe's sweep section for one tokenizer.

    Raises UserError if thoughts are to be extended and the format has no text for it.
    """
    if section.extend_to and not fmt.wait_ids:
        raise UserError(
            f"sweep.extend_to={section.extend_to} needs data.format.wait, the text that is appended; it is empty"
        )
    return Protocol(
        budgets=tuple(section.budgets),
        answer_tokens=section.answer_tokens,
        extend_to=section.extend_to,
        max_extensions=section.max_extensions,
        temperature=section.temperature,
        top_p=section.top_p,
        top_k=section.top_k,
        min_p=section.min_p,
        seed=section.seed,
        stop_loops=section.stop_loops,
        vocabulary_size=vocabulary_size,
        format=fmt,
    )


def protocol_hash(protocol: Protocol, suite: Suite, samples: int, versions: tuple[str, ...]) -> str:
    """16 hex digits over everything except the weights that a score depends on; `versions`: of engine and grader.

    A format enters by its strings and ids, not by its name, nor by the date that its template may write: the same sweep
    on another day has the same protocol.
    """
    rules = asdict(protocol)
    del rules["format"]["name"], rules["format"]["date"]
    parts = [PROTOCOL_VERSION, rules, suite.hash, suite.grader, samples, versions]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
