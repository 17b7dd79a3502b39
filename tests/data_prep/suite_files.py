"""Files of problems for tests, and the suites that recipes make of them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from data_prep.problem import Suite
from data_prep.suites.load import load_suite
from recipes.suites import JsonlSuite, NamedSuite


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8-sig") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def jsonl(path: Path, **keys: Any) -> Suite:
    return load_suite(JsonlSuite.model_validate({"source": "jsonl", "name": "s", "path": path, **keys}))


ROW = {"id": "a", "problem": " Which?\n", "choices": ["one", "two"], "answer": "B"}


def named(name: str, path: Path, **keys: Any) -> Suite:
    return load_suite(NamedSuite.model_validate({"source": "named", "name": name, "path": path, **keys}))
