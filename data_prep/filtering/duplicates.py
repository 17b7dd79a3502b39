"""Duplicates and near-duplicates: of equal or very similar traces only the first is kept.

Exact duplicates are found by a hash of the text, near ones by MinHash over runs of words (Broder 1997): the share of
equal minima estimates the Jaccard similarity of two texts' runs, with a standard error of 0.035 at 0.8. A stream is
read once; memory is about 130 bytes (exact) or 4 KB (near) per kept trace, however long it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from rensa import RMinHash, RMinHashDeduplicator

from data_prep.filtering.comparable import words
from data_prep.filtering.decontaminate import runs_of
from data_prep.ledger import Ledger
from data_prep.trace import Trace
from recipes.quality import DuplicatesSection

MINIMA = 128
SEED = 1
MOST_MISSED = 0.01


def drop_duplicates(traces: Iterable[Trace], section: DuplicatesSection, ledger: Ledger) -> Iterator[Trace]:
    """The first trace of each kind, in order; the others are lost as `duplicate` or `near duplicate`."""
    stream = iter(traces)
    if section.exact != "none":
        stream = _exact(stream, section.exact, ledger)
    if section.near != "none":
        stream = _near(stream, section, ledger)
    return stream


def words_of(trace: Trace, part: str) -> list[str]:
    """The words that are compared (`comparable`): of question, thinking and answer (`trace`) or of the question."""
    if part == "question":
        return words(trace.question)
    return [*words(trace.question), "\0", *words(trace.thinking), "\0", *words(trace.answer)]


def _exact(traces: Iterator[Trace], part: str, ledger: Ledger) -> Iterator[Trace]:
    seen: set[bytes] = set()
    for trace in traces:
        text = " ".join(words_of(trace, part)).encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(text, digest_size=16).digest()
        if digest in seen:
            ledger.lose("duplicate", trace.where, f"its {part} came before")
        else:
            seen.add(digest)
            yield trace


def _near(traces: Iterator[Trace], section: DuplicatesSection, ledger: Ledger) -> Iterator[Trace]:
    index = RMinHashDeduplicator(section.threshold, MINIMA, True, bands_for(section.threshold), SEED)
    for number, trace in enumerate(traces):
        sketch = RMinHash(MINIMA, SEED)
        sketch.update(compared(words_of(trace, section.near), section.run_words))
        alike = index.get_duplicates(sketch)
        if alike:
            first = min(alike, key=_number)
            ledger.lose("near duplicate", trace.where, f"like {first.partition(' ')[2]}")
        else:
            index.add(f"{number} {trace.where}", sketch)
            yield trace


def _number(key: str) -> int:
    return int(key.partition(" ")[0])


def compared(words: list[str], length: int) -> list[str]:
    """All runs of `length` words; a shorter text is one run."""
    return runs_of(words, length) or [" ".join(words)]


def bands_for(threshold: float) -> int:
    """The fewest LSH bands with which two texts of similarity `threshold` are compared in 99 of 100 cases.

    Texts are compared if all minima of one band agree: of b bands of r minima, with probability 1 - (1 - t^r)^b.
    """
    sizes = [bands for bands in range(1, MINIMA + 1) if MINIMA % bands == 0]
    return next(bands for bands in sizes if (1 - threshold ** (MINIMA // bands)) ** bands <= MOST_MISSED)
