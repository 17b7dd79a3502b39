"""Rows of measured figures, as every benchmark on a GPU prints them: one JSON object per line.

    {"name", "value", "unit", "target", "rival", "ratio"} and, where there is more to say, "note"

value: what was measured; target: "at least 40,000", "at most 1.0" or a range "0.9 … 1.1", None where there is none;
rival: the same of the rival in the same call; ratio: value / rival. A row without a value was not measured; its note
says why.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

Row = dict[str, Any]
GIBIBYTE = 1 << 30


def row(name: str, value: float, unit: str, target: str | None = None, rival: float | None = None) -> Row:
    ratio = value / rival if rival else None
    return {"name": name, "value": value, "unit": unit, "target": target, "rival": rival, "ratio": ratio}


def not_measured(name: str, why: str) -> Row:
    return {"name": name, "value": None, "unit": "", "target": None, "rival": None, "ratio": None, "note": why}


def print_rows(rows: Iterable[Row]) -> None:
    """Each as soon as it is there: whoever is ended in the middle has said what was measured before."""
    for each in rows:
        print(json.dumps(each), flush=True)


def read_rows_of(lines: Iterable[str]) -> Iterator[Row]:
    """The rows among printed lines; libraries print too, and a module's rows may come as one list."""
    for line in lines:
        try:
            found = json.loads(line)
        except ValueError:
            continue
        for each in found if isinstance(found, list) else [found]:
            if isinstance(each, dict) and {"name", "value"} <= each.keys():
                yield each


class Deadline:
    """Seconds that are left of a part's share of the time."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.end = clock() + seconds

    @property
    def left(self) -> float:
        return self.end - self.clock()
