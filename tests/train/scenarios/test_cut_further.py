"""Prune, tune, prune: the export of one run is cut further by the next.

Its verdict still compares with the model that was never pruned.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_prep.fingerprint import fingerprint
from prune.inspect import check_folder
from runtime.files import read_rows
from tests.train.runs import MODEL

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def further(full: Path, here: Callable[..., Path]) -> Path:
    """A run on the export of the run `full`, which lost layers 6 and 7, without the last one that is left."""
    return here("full", f"prune.cut_from={full / 'export'}", "prune.layers=1")


def record(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "run.json").read_text())
    return found


def test_the_record_has_each_cut(full: Path, further: Path) -> None:
    plan = record(further)["prune_plan"]
    assert (plan["removed"], plan["source"]) == ([5, 6, 7], fingerprint(str(MODEL)))
    assert [(cut["method"], cut["removed"], cut["source"]) for cut in plan["cuts"]] == [
        ("tail", [6, 7], fingerprint(str(MODEL))),
        ("tail", [5], fingerprint(str(full / "export"))),
    ]


def test_the_references_are_the_model_that_was_never_pruned_and_the_one_cut_twice(full: Path, further: Path) -> None:
    def unpruned(run: Path) -> list[dict[str, Any]]:
        return [row for row in read_rows(run / "sweeps.jsonl") if row["model"] == "unpruned" and row["budget"]]

    assert [row["accuracy"] for row in unpruned(further)] == [row["accuracy"] for row in unpruned(full)]
    assert check_folder(further / "pruned").weights.layers == 5


def test_the_export_carries_the_whole_lineage_and_no_path(further: Path) -> None:
    plan = check_folder(further / "export").plan
    assert plan is not None and [cut.removed for cut in plan.cuts] == [(6, 7), (5,)]
    assert 'cut_from": "(local)' in (further / "export" / "prune_plan.json").read_text()
