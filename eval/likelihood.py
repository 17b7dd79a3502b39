"""Multiple choice by likelihood: no thinking and no decoding; the likeliest choice is the model's answer.

The prompts follow EleutherAI's lm-evaluation-harness, without examples and without a chat template:

    letter            question, choices as lettered lines, "Answer:", then " A", " B" … (its task mmlu)
    text              "Question: …", "Answer:", then a blank and the text of the choice (arc_challenge, acc)
    text_normalised   the same, each log-probability divided by the number of the choice's characters (acc_norm)

The tokens of a choice are the tokens of prompt and choice together, after the prompt's own. Ties go to the first.
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
"""rows per forward pass; with a large vocabulary, logits of several positions take much memory"""


@dataclass(frozen=True)
class Continuation:
    """The tokens `ids` to score, and the tokens `context` before them."""

    context: tuple[int, ...]
    ids: tuple[int, ...]


def likelihood_hash(suite: Suite, tokenizer: PreTrainedTokenizerBase, versions: tuple[str, ...]) -> str:
    """16 hex digits over everything except the weights that a score depends on; budgets and sampling do not matter."""
    parts = ["likelihood", LIKELIHOOD_VERSION, suite.hash, suite.grader, len(tokenizer), _start(tokenizer), versions]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def problem_continuations(problem: Problem, grader: str, tokenizer: PreTrainedTokenizerBase) -> list[Continuation]:
    """One per choice, in order; raises UserError if a choice has no token of its own."""
    start = _start(tokenizer)
    context = (*start, *encode(problem.question, tokenizer))
    # Question and choice are encoded together, since a tokenizer may merge the characters at the boundary. The context
    # of a choice is therefore a prefix of its own ids, as long as the question alone.
    texts = [problem.question + text for text in continuations(problem.choices, grader)]
    sequences = [(*start, *encode(text, tokenizer)) for text in texts]
    if any(len(ids) <= len(context) for ids in sequences):
        raise UserError(
            f"sweep.suites: a choice of problem {problem.id} merges with the tokens of the prompt before it "
            "and has no tokens of its own to score; use method=generate"
        )
    return [Continuation(ids[: len(context)], ids[len(context) :]) for ids in sequences]


def _start(tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """The begin-of-sequence token, if this tokenizer puts one before a text."""
    first = tokenizer("")["input_ids"][:1]
    return tuple(first) if first == [tokenizer.bos_token_id] else ()


@torch.no_grad()
def log_probabilities(
    model: PreTrainedModel, targets: Sequence[Continuation], most_rows: int = MOST_ROWS
) -> list[float]:
    """The summed natural log-probability of each continuation, in order; NaN if the model returns one.

    A row of a batch is a sequence without its last token, padded on the right. Continuations that differ only in their
    last token share a row, so the letters of a problem cost one row.
    """
    by_row: dict[tuple[int, ...], list[Continuation]] = {}
    for target in targets:
        by_row.setdefault((*target.context, *target.ids)[:-1], []).append(target)
    rows = sorted(by_row, key=len, reverse=True)
    sums: dict[Continuation, float] = {}
    for first in range(0, len(rows), most_rows):
        batch = {row: by_row[row] for row in rows[first : first + most_rows]}
        sums |= _score_batch(model, batch)
        beat(sum(map(len, batch)))
    return [sums[target] for target in targets]


def _score_batch(model: PreTrainedModel, batch: dict[tuple[int, ...], list[Continuation]]) -> dict[Continuation, float]:
    """The sums of all continuations of the rows; logits are computed only at positions that some row needs."""
    start = min(len(row) - len(target.ids) for row, targets in batch.items() for target in targets)
    padded = {key: value.to(model.device) for key, value in pad_right([list(row) for row in batch], pad_id=0).items()}
    columns = torch.arange(start, padded["input_ids"].shape[1], device=model.device)
    logits = model(**padded, use_cache=False, logits_to_keep=columns).logits  # [rows, columns, vocabulary]
    sums = {}
    for i, (row, targets) in enumerate(batch.items()):
        end = len(row) - start
        for target in targets:
            # Logits at a position score the token after it: the row's last column scores the target's last token.
            log_softmax = logits[i, end - len(target.ids) : end].float().log_softmax(dim=-1)
            ids = torch.tensor(target.ids, device=logits.device)[:, None]  # [tokens, 1]
            sums[target] = float(log_softmax.gather(1, ids).sum())
    return sums


def choose_likeliest(
    model: PreTrainedModel, problems: Sequence[Problem], grader: str, tokenizer: PreTrainedTokenizerBase
) -> list[GradedThought]:
    """One graded choice per problem, in order, as a thought without thinking at budget 0."""
    by_problem = [problem_continuations(problem, grader, tokenizer) for problem in problems]
    sums = iter(log_probabilities(model, [continuation for choices in by_problem for continuation in choices]))
    return [graded_choice(problem, [next(sums) for _ in problem.choices], grader) for problem in problems]


def graded_choice(problem: Problem, sums: Sequence[float], grader: str) -> GradedThought:
    """The choice with the highest summed log-probability, graded; wrong if any of the sums is not finite."""
    lengths = [len(choice) for choice in problem.choices]
    scores = [value / length for value, length in zip(sums, lengths, strict=True)] if "normalised" in grader else sums
    text = ", ".join(f"{letter} {value:.4f}" for letter, value in zip(LETTERS, sums, strict=False))
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
