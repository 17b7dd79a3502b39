"""The text of a thought with the places where budgets truncate it; the middle of a long one is left out and counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recipes.terminal import plain


@dataclass(frozen=True)
class Part:
    """Text of a thought without control characters, and the budgets that truncate the thought after it; "": none."""

    text: str
    cut: str = ""


def shortened(text: str, most: int) -> str:
    """At most `most` characters of a text: its beginning and its end, and the number left out between them."""
    return _between(text, most, 0, len(text))


def marked(text: str, cuts: Mapping[int, str], most: int) -> tuple[Part, ...]:
    """`text` in the parts between `cuts` (characters before each, to its budgets), shortened as a whole to `most`.

    A cut in the middle that is left out is kept: what is left out before and after it is counted separately.
    """
    places = sorted(place for place in cuts if 0 <= place <= len(text))
    ends = [*((place, cuts[place]) for place in places), (len(text), "")]
    starts = [0, *places]
    parts = [Part(plain(_between(text, most, start, end)), cut) for start, (end, cut) in zip(starts, ends, strict=True)]
    return tuple(part for part in parts if part.text or part.cut)


def _between(text: str, most: int, start: int, end: int) -> str:
    """The characters from `start` to `end` of what `most` characters show of a text."""
    left_out = max(0, len(text) - most)
    head = most * 2 // 3 if left_out else len(text)
    tail = head + left_out
    lost = min(end, tail) - max(start, head)
    note = f" [… {lost:,} characters left out …] " if lost > 0 else ""
    return f"{text[start : min(end, head)]}{note}{text[max(start, tail) : end]}"


def cuts_of(row: Mapping[str, Any], names: Mapping[int, str]) -> dict[int, str] | None:
    """The places in a row of a samples file where budgets truncate its thought (characters before, to the names of the
    budgets); None if one of them is not recorded.

    A budget that the thought did not reach, because it ended by itself or was stopped for its loop, truncates nothing.
    """
    answers: Sequence[Mapping[str, Any]] = row["answers"]
    whole = answers[-1]["thinking_tokens"] if answers else 0
    cutting = [
        answer
        for answer in answers
        if any(answer["budgets"]) and (row["stop"] == "budget" or answer["thinking_tokens"] < whole)
    ]
    found: dict[int, str] = {}
    for answer in cutting:
        place = answer.get("thinking_characters")
        if not isinstance(place, int):
            return None
        budgets = [names[budget] for budget in answer["budgets"] if budget]
        found[place] = ", ".join([*filter(None, [found.get(place)]), *budgets])
    return found
