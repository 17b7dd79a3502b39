"""Verification: right, wrong and unverifiable answers go where the recipe says, and every one is counted."""

from __future__ import annotations

import pytest

from data_prep.filtering import verify as module
from data_prep.filtering.verify import verify
from data_prep.ledger import Ledger
from data_prep.trace import Trace
from recipes.quality import VerifySection

ROWS = [
    ("right", r"So \boxed{\frac{1}{2}}.", "0.5"),
    ("wrong", r"\boxed{3}", "4"),
    ("none", r"\boxed{3}", None),
    ("blank", "3", " "),
    ("letter", "The answer is (B).", "B"),
    ("other", "The answer is (B).", "C"),
]


def run(section: VerifySection | None, rows: list[tuple[str, str, str | None]] = ROWS) -> tuple[list[str], Ledger]:
    ledger = Ledger()
    traces = (Trace(name, "q", "", answer, "here", gold) for name, answer, gold in rows)
    return [trace.id for trace in verify(traces, section, ledger)], ledger


def test_without_a_section_nothing_is_looked_at() -> None:
    kept, ledger = run(None)
    assert (len(kept), ledger.lost.total(), ledger.changed.total()) == (6, 0, 0)


def test_wrong_answers_are_dropped_and_unverifiable_ones_are_kept_and_counted() -> None:
    kept, ledger = run(VerifySection())
    assert kept == ["right", "none", "blank", "letter"]
    assert ledger.lost == {"wrong answer": 2} and ledger.changed == {"kept with no gold answer": 2}
    assert ledger.named["wrong answer"][0].startswith("here wrong: '3' is not '4'")


def test_all_that_is_not_proven_can_be_dropped() -> None:
    kept, ledger = run(VerifySection(without_gold="drop"))
    assert kept == ["right", "letter"]
    assert ledger.lost == {"wrong answer": 2, "no gold answer": 2}


def test_wrong_answers_can_be_kept_and_are_counted() -> None:
    kept, ledger = run(VerifySection(wrong="keep"))
    assert kept == [name for name, _, _ in ROWS]
    assert ledger.changed == {"kept with wrong answer": 2, "kept with no gold answer": 2}


@pytest.mark.parametrize(("grader", "kept"), [("integer", ["07"]), ("exact", [])])
def test_the_named_grader_is_used(grader: str, kept: list[str]) -> None:
    assert run(VerifySection.model_validate({"grader": grader}), [("07", r"\boxed{07}", "7")])[0] == kept


def test_a_stream_longer_than_a_chunk_keeps_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_TRACES", 3)
    rows: list[tuple[str, str, str | None]] = [(str(i), str(i % 2), "0") for i in range(10)]
    assert run(VerifySection(grader="integer"), rows)[0] == ["0", "2", "4", "6", "8"]
