r"""Votes: answers that are equal up to spelling are one candidate.

Only rules are used (`\frac12`, `\dfrac{1}{2}`, `0.5` and `50\%`; `5 cm` and `5`; `x < 4` and `(-\infty,4)`), so that
any number of answers is grouped quickly. Answers whose equality needs algebra, such as `(x+1)^2` and `x^2+2x+1`, remain
two candidates.
"""

from __future__ import annotations

from functools import lru_cache

from data_prep.grading.choice import latin
from data_prep.grading.extraction import LONGEST_EXTRACTED
from data_prep.grading.latex import are_words
from data_prep.grading.mathematics import read_answer
from data_prep.grading.numerals import read_number
from data_prep.grading.signs import plain


@lru_cache(maxsize=65536)
def canonical(extracted: str, grader: str) -> str:
    """The candidate that an extracted answer (`Grade.extracted`) votes for; "" without an answer, and no vote."""
    text = " ".join(plain(extracted).split())
    if grader == "choice":
        return latin(text) if len(text) == 1 else text
    if grader == "integer":
        number = read_number(text)
        return text if number is None else str(number.value)
    if grader != "math" or len(extracted) >= LONGEST_EXTRACTED or not text:
        return text.casefold()
    return _mathematical(extracted)


def _mathematical(extracted: str) -> str:
    answer = read_answer(extracted)
    if answer.number is not None:
        return str(answer.number.value / 100 if answer.percent else answer.number.value)
    if are_words(answer.tidied):
        return answer.spelling.casefold()
    value = read_answer(answer.value) if answer.value != answer.tidied else answer
    return value.spelling or answer.spelling
