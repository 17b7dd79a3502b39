"""Thoughts of the model in training, as examples for its teacher: which ones a step trains on, and what they hold.

Slots are the examples of all steps in the order of the global batches, whatever the ranks: slot = step · batch + place.
A share of them, spread evenly, are rollouts, numbered through the whole run; rollout n is a thought about problem
n // samples in a shuffled order, with a random stream of its own. So what is thought depends on the weights alone.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from data_prep.problem import Problem
from data_prep.tokens.prompts import ThinkFormat, encode
from data_prep.tokens.tokenize import IGNORED
from eval.types import Request, Thought
from recipes.on_policy import OnPolicySection

FINEST_SHARE = 1000


@dataclass(frozen=True)
class Schedule:
    """Which slots are rollouts, and which round a step belongs to. batch: examples of a global batch."""

    section: OnPolicySection
    batch: int
    steps: int

    @property
    def _share(self) -> Fraction:
        return Fraction(self.section.share).limit_denominator(FINEST_SHARE)

    def before(self, slot: int) -> int:
        """How many rollouts the slots before `slot` are."""
        return int(slot * self._share)

    def number(self, slot: int) -> int | None:
        """The rollout that a slot is; None where it is a trace."""
        first = self.before(slot)
        return first if self.before(slot + 1) > first else None

    def round_of(self, step: int) -> Round:
        """The round of the step after `step` steps."""
        index = step // self.section.refresh_steps
        first = index * self.section.refresh_steps
        last = min(first + self.section.refresh_steps, self.steps)
        numbers = range(self.before(first * self.batch), self.before(last * self.batch))
        return Round(index, first, numbers, self.section.horizon.at(first))


@dataclass(frozen=True)
class Round:
    """A round of thoughts: made after `first` steps, rollouts `numbers`, each of at most `horizon` tokens."""

    index: int
    first: int
    numbers: range
    horizon: int


def problem_of(number: int, problems: Sequence[Problem], section: OnPolicySection) -> Problem:
    """The problem that a rollout thinks about; each pass over the problems has an order of its own."""
    turn, place = divmod(number // section.samples, len(problems))
    order = list(range(len(problems)))
    random.Random(f"{section.seed} {turn}").shuffle(order)
    return problems[order[place]]


@dataclass(frozen=True)
class Rollout:
    """A thought as an example: ids of prompt, thought, close and answer; labelled [tokens]: which of them the model
    chose itself. stop: why the thought ended; thinking_tokens: how long it is."""

    number: int
    input_ids: tuple[int, ...]
    labelled: tuple[int, ...]
    stop: str
    thinking_tokens: int

    def row(self) -> dict[str, Any]:
        """A line of the round's file; `labelled` as runs of (unlabelled, labelled) tokens in turn."""
        return {
            "number": self.number,
            "input_ids": list(self.input_ids),
            "labelled": "".join(map(str, self.labelled)),
            "stop": self.stop,
            "thinking_tokens": self.thinking_tokens,
        }

    @staticmethod
    def of_row(row: dict[str, Any]) -> Rollout:
        flags = tuple(map(int, row["labelled"]))
        return Rollout(row["number"], tuple(row["input_ids"]), flags, row["stop"], row["thinking_tokens"])

    def example(self) -> dict[str, Any]:
        """As the feed gives examples (`train.feed`)."""
        ids = np.array(self.input_ids, np.int64)
        labels = np.where(np.array(self.labelled, bool), ids, IGNORED)
        return {"input_ids": ids, "labels": labels, "seq_lengths": [len(ids)]}


def rollout_of(request: Request, thought: Thought, fmt: ThinkFormat, stop_id: int) -> Rollout:
    """A thought with its close and answer. A close that a budget forced is not the model's own, so it is not labelled;
    the answer after it is: to answer from an unfinished thought is what a budget sweep asks."""
    answer, closed = thought.answers[-1], thought.stop == "close"
    close = fmt.own_close_ids if closed else fmt.forced_close_ids
    said = (*answer.answer_ids, *((stop_id,) if answer.finished else ()))
    parts = ((request.prompt_ids, 0), (thought.thinking_ids, 1), (close, int(closed)), (said, 1))
    return Rollout(
        number=request.sample,
        input_ids=tuple(token for ids, _ in parts for token in ids),
        labelled=tuple(flag for ids, flag in parts for _ in ids),
        stop=thought.stop,
        thinking_tokens=len(thought.thinking_ids),
    )


def stop_id_of(fmt: ThinkFormat, tokenizer: Any) -> int:
    return encode(fmt.stop, tokenizer)[-1]


@dataclass(frozen=True)
class RoundFacts:
    """What is known of a round. ended: share that closed by themselves; looping: share that loop or are empty; mean:
    thinking tokens; cut_mean: the same, each cut at the first horizon of the run."""

    thoughts: int
    ended: float
    looping: float
    mean: float
    cut_mean: float


def facts_of(rollouts: Sequence[Rollout], first_horizon: int) -> RoundFacts:
    lengths = np.array([each.thinking_tokens for each in rollouts])
    bad = [each.stop == "loop" or each.thinking_tokens == 0 for each in rollouts]
    return RoundFacts(
        thoughts=len(rollouts),
        ended=float(np.mean([each.stop == "close" for each in rollouts])),
        looping=float(np.mean(bad)),
        mean=float(lengths.mean()),
        cut_mean=float(np.minimum(lengths, first_horizon).mean()),
    )


def why_not(facts: RoundFacts, first: RoundFacts, section: OnPolicySection) -> str:
    """Why a round is not trained on; "" where it is. first: the facts of the run's first round."""
    if facts.looping > section.most_looping:
        return (
            f"{facts.looping:.0%} of the thoughts loop or are empty, more than on_policy.most_looping="
            f"{section.most_looping:g}"
        )
    if facts.cut_mean > section.most_inflation * first.cut_mean:
        return (
            f"thoughts are {facts.cut_mean / first.cut_mean:.2f} times as long as in the first round, more than "
            f"on_policy.most_inflation={section.most_inflation:g}"
        )
    return ""
