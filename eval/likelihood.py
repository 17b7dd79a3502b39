"""Multiple choice by likelihood: no thinking and no decoding, the choice that the model finds likeliest is its answer.

As EleutherAI's lm-evaluation-harness does it, without examples and without a chat template:

    letter            question, choices as lettered lines, "Answer:", then " A", " B" … (its task mmlu)
    text              "Question: …", "Answer:", then a blank and the whole text of the choice (arc_challenge, acc)
    text_normalised   the same, each log-probability divided by the number of the choice's characters (acc_norm)

The tokens of a choice are those of prompt and choice together that come after the prompt's own. Ties go to the first.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from data_prep.grading.grade import Grade
from data_prep.problem import Problem, Suite
from data_prep.suites.choices import LETTERS, continuations
from data_prep.tokens.padding import pad_right
from data_prep.tokens.prompts import encode
from eval.samples import GradedAnswer, GradedThought
from recipes.errors import UserError
from runtime.pulse import beat

LIKELIHOOD_VERSION = 2
MOST_ROWS = 16
"""rows of a forward; a large vocabulary makes logits of several positions heavy"""


@dataclass(frozen=True)
class Continuation:
    """What is scored: the tokens `ids` after the tokens `context`."""

    context: tuple[int, ...]
    ids: tuple[int, ...]


def likelihood_hash(suite: Suite, tokenizer: PreTrainedTokenizerBase, versions: tuple[str, ...]) -> str:
    """16 hex digits over all that a score depends on beside the weights; budgets and sampling are not among it."""
    parts = ["likelihood", LIKELIHOOD_VERSION, suite.hash, suite.grader, len(tokenizer), _start(tokenizer), versions]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def problem_continuations(problem: Problem, grader: str, tokenizer: PreTrainedTokenizerBase) -> list[Continuation]:
    """One a choice, in order; UserError where a choice has no token of its own."""
    start = _start(tokenizer)
    context = (*start, *encode(problem.question, tokenizer))
    whole = [(*start, *encode(problem.question + text, tokenizer)) for text in continuations(problem.choices, grader)]
    if any(len(ids) <= len(context) for ids in whole):
        raise UserError(
            f"sweep.suites: a choice of problem {problem.id} melts into the tokens of the prompt before it "
            "and has none of its own to score; use method=generate"
        )
    return [Continuation(ids[: len(context)], ids[len(context) :]) for ids in whole]


def _start(tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """The begin-of-sequence token where this tokenizer puts one before a text."""
    first = tokenizer("")["input_ids"][:1]
    return tuple(first) if first == [tokenizer.bos_token_id] else ()


@torch.no_grad()
def log_probabilities(
    model: PreTrainedModel, wanted: Sequence[Continuation], most_rows: int = MOST_ROWS
) -> list[float]:
    """The summed natural log-probability of each continuation, in order; NaN where the model gives one.

    A row of a batch is what stands before a last token, padded on the right; continuations that differ in their last
    token alone share it, so the letters of a problem cost one row.
    """
    by_row: dict[tuple[int, ...], list[Continuation]] = {}
    for one in wanted:
        by_row.setdefault((*one.context, *one.ids)[:-1], []).append(one)
    rows = sorted(by_row, key=len, reverse=True)
    sums: dict[Continuation, float] = {}
    for first in range(0, len(rows), most_rows):
        beat()
        sums |= _score_batch(model, {row: by_row[row] for row in rows[first : first + most_rows]})
    return [sums[one] for one in wanted]


def _score_batch(model: PreTrainedModel, batch: dict[tuple[int, ...], list[Continuation]]) -> dict[Continuation, float]:
    """The sums of all continuations of the rows; logits are made at the positions alone that some row needs."""
    start = min(len(row) - len(one.ids) for row, scored in batch.items() for one in scored)
    padded = {key: value.to(model.device) for key, value in pad_right([list(row) for row in batch], pad_id=0).items()}
    columns = torch.arange(start, padded["input_ids"].shape[1], device=model.device)
    logits = model(**padded, use_cache=False, logits_to_keep=columns).logits
    found = {}
    for i, (row, scored) in enumerate(batch.items()):
        for one in scored:
            last = len(row) - start
            own = logits[i, last - len(one.ids) : last].float().log_softmax(dim=-1)
            found[one] = float(own.gather(1, torch.tensor(one.ids, device=own.device)[:, None]).sum())
    return found


def choose_likeliest(
    model: PreTrainedModel, problems: Sequence[Problem], grader: str, tokenizer: PreTrainedTokenizerBase
) -> list[GradedThought]:
    """One graded choice a problem, in order, in the shape of a thought without thinking at budget 0."""
    wanted = [problem_continuations(problem, grader, tokenizer) for problem in problems]
    sums = iter(log_probabilities(model, [one for of_problem in wanted for one in of_problem]))
    return [graded_choice(problem, [next(sums) for _ in problem.choices], grader) for problem in problems]


def graded_choice(problem: Problem, sums: Sequence[float], grader: str) -> GradedThought:
    """The choice that the summed log-probabilities make likeliest, graded; wrong where one of them is not finite."""
    lengths = [len(choice) for choice in problem.choices]
    scores = [each / length for each, length in zip(sums, lengths, strict=True)] if "normalised" in grader else sums
    text = ", ".join(f"{letter} {each:.4f}" for letter, each in zip(LETTERS, sums, strict=False))
    answer = GradedAnswer(
        budgets=(0,),
        thinking_tokens=0,
        answer_tokens=0,
        finished=True,
        looping=False,
        text=f"log-probabilities: {text}",
        grade=_grade(scores, problem.answer),
    )
    return GradedThought(problem=problem.id, sample=0, stop="budget", extensions=0, thinking="", answers=(answer,))


def _grade(scores: Sequence[float], gold: str) -> Grade:
    if not all(map(math.isfinite, scores)):
        return Grade(False, "", "a log-probability is not a finite number")
    letter = LETTERS[max(range(len(scores)), key=scores.__getitem__)]
    return Grade(letter == gold, letter, "likeliest" if letter == gold else "another is likelier")
