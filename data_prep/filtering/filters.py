"""The filters of `data.filters`: faults that show in the trace alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from data_prep.filtering.repetition import ends_in_loop
from data_prep.filtering.scripts import foreign_share
from data_prep.ledger import Ledger
from data_prep.trace import Trace, visible
from recipes.data import DataSection


@dataclass(frozen=True)
class Filter:
    """One filter. key: its name in `data.filters`; reason: the ledger's; suggested: the setting to try if it is off.

    why: maps (trace, setting) to what is wrong, or "" for a sound trace.
    """

    key: str
    reason: str
    suggested: Any
    why: Callable[[Trace, Any], str]


def _unclosed(trace: Trace, setting: str) -> str:
    return "the thought is opened and never closed" if trace.thought == "unclosed" else ""


def _absent(trace: Trace, setting: str) -> str:
    return "nothing marks a thought" if trace.thought == "absent" else ""


def _short_thinking(trace: Trace, fewest: int) -> str:
    length = len(visible(trace.thinking))
    return f"a thought of {length} characters" if length < fewest else ""


def _loop(trace: Trace, rounds: int) -> str:
    for name, text in (("thought", trace.thinking), ("answer", trace.answer)):
        if ends_in_loop(text, rounds):
            return f"the {name} ends in a loop: …{text.strip()[-40:]!r}"
    return ""


def _drift(trace: Trace, most: float) -> str:
    share = foreign_share(trace.question, trace.thinking)
    return f"{share:.0%} of the thought's letters are of another script than the question" if share > most else ""


def _short_answer(trace: Trace, fewest: int) -> str:
    length = len(visible(trace.answer))
    return f"an answer of {length} characters" if length < fewest else ""


def _answer_lacks(trace: Trace, text: str) -> str:
    return "" if text in trace.answer else f"the answer does not contain {text!r}"


FILTERS: tuple[Filter, ...] = (
    Filter("unclosed_thinking", "unclosed thinking", "drop", _unclosed),
    Filter("absent_thinking", "no thinking", "drop", _absent),
    Filter("min_thinking_characters", "empty thinking", 1, _short_thinking),
    Filter("loop_rounds", "loop", 3, _loop),
    Filter("max_foreign_letters", "language drift", 0.5, _drift),
    Filter("min_answer_characters", "missing final answer", 1, _short_answer),
    Filter("answer_contains", "unmarked final answer", "\\boxed{", _answer_lacks),
)


def filter_traces(traces: Iterable[Trace], section: DataSection, ledger: Ledger) -> Iterator[Trace]:
    """The traces that no filter of the recipe drops; one that several would drop counts for the first of FILTERS."""
    settings = [(candidate, getattr(section.filters, candidate.key)) for candidate in FILTERS]
    active = [(candidate, setting) for candidate, setting in settings if setting is not None]
    for trace in traces:
        for candidate, setting in active:
            if why := candidate.why(trace, setting):
                ledger.lose(candidate.reason, trace.where, why)
                break
        else:
            yield trace
