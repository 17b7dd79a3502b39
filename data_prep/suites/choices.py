"""Multiple choice: reading the choices and the right one from a row, ordering them, and rendering them (only here)."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

from data_prep.grading.choice import GOLD_CHOICE, latin
from data_prep.grading.signs import plain

LETTERS = "ABCDEFGHIJ"
LETTER = re.compile(r"\s*[(（]?[A-JＡ-Ｊ][)）]?\s*")
"""a gold answer that names a choice"""


def render_choices(question: str, choices: Sequence[str]) -> str:
    """The question, an empty line, and a line `A. …` for each choice."""
    lines = [f"{letter}. {choice}" for letter, choice in zip(LETTERS, choices, strict=False)]
    return "\n".join([question.rstrip(), "", *lines])


def likelihood_prompt(question: str, choices: Sequence[str], grader: str) -> str:
    """The prompt after which each choice's likelihood is taken; `grader` is one of the `likelihood_…`."""
    if grader == "likelihood_letter":
        lines = [f"{letter}. {choice}" for letter, choice in zip(LETTERS, choices, strict=False)]
        return "\n".join([question.strip(), *lines, "Answer:"])
    return f"Question: {question.strip()}\nAnswer:"


def continuations(choices: Sequence[str], grader: str) -> list[str]:
    """The texts that are scored after `likelihood_prompt`, one per choice."""
    texts = LETTERS[: len(choices)] if grader == "likelihood_letter" else choices
    return [f" {text}" for text in texts]


def shuffled(choices: Sequence[str], right: int, key: str) -> tuple[tuple[str, ...], int]:
    """The choices in an order that depends on `key` and their number alone, and the index of the right one."""
    order = random.Random(f"choices {key}").sample(range(len(choices)), len(choices))
    return tuple(choices[i] for i in order), order.index(right)


def read_choices(value: Any, answer: Any) -> tuple[tuple[str, ...], int]:
    """(choices, 0-based index of the right one) of a row's values; ValueError says what is wrong.

    `value` is a list of texts, or {"text": […], "label": […]} as in ARC; `answer` a letter, a label or a 0-based index.
    """
    labels: list[str] = []
    if isinstance(value, Mapping):
        labels = [str(label).strip() for label in value.get("label", ())]
        value = value.get("text")
    if not isinstance(value, list | tuple) or not all(isinstance(c, str | int | float) for c in value):
        raise ValueError(f"choices must be a list of texts, got {value!r}")
    choices = tuple(str(choice).strip() for choice in value)
    if not 2 <= len(choices) <= len(LETTERS):
        raise ValueError(f"a multiple choice has 2 to {len(LETTERS)} choices, this one has {len(choices)}")
    if not all(choices):
        raise ValueError(f"choice {LETTERS[choices.index('')]} is empty")
    return choices, _index(answer, labels, len(choices))


def _index(answer: Any, labels: Sequence[str], count: int) -> int:
    letters = LETTERS[:count]
    text = str(answer).strip()
    if text in labels:
        return labels.index(text)
    letter = GOLD_CHOICE.fullmatch(plain(text)) if isinstance(answer, str) else None
    text = latin(letter.group(1)) if letter else text  # `(B)`, a full-width B, or the second letter of another script
    if isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < count:
        return answer
    if isinstance(answer, str) and len(text) == 1 and text.upper() in letters:
        return letters.index(text.upper())
    raise ValueError(f"the answer must be a letter A to {letters[-1]} or an index 0 to {count - 1}, got {answer!r}")
