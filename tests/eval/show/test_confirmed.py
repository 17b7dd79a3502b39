"""What is said of a kept checkpoint: confirmed, or the best of several and uncorrected, and never another's figures."""

from __future__ import annotations

from typing import Any

import pytest

from eval.numbers.summary import Row
from eval.show.confirmed import (
    confirmed_facts,
    confirmed_table,
    confirmed_text,
    note_on,
    selection_note,
    standing,
    standing_cell,
)
from tests.eval.show.made_rows import made_rows

METRIC = "sweep/chain/gain"
CONFIRMED: dict[str, Any] = {
    "step": 4,
    "kept": 4,
    "earlier": 0,
    "suite": "chain-confirm",
    "problems": 40,
    "verdict": "PARTIAL",
    "verdict_line": "PARTIAL: half is back",
    "level": 0.7,
    "level_low": 0.6,
    "level_high": 0.8,
}
TEXT = "Step 4 confirmed on 40 problems that no sweep saw (chain-confirm), evaluated once: PARTIAL: half is back"


def sweeps(*steps: int) -> list[Row]:
    return [
        {"step": step, "model": "run", "suite": "chain", "budget": None, "gain_per_doubling": step / 10}
        for step in steps
    ]


def test_the_best_of_several_sweeps_says_that_it_was_chosen() -> None:
    assert selection_note(sweeps(2, 4, 6), METRIC).startswith("Best of 3 sweeps by sweep/chain/gain, uncorrected")
    assert selection_note(sweeps(2), METRIC) == ""


def test_the_facts_are_those_of_the_confirmed_checkpoint() -> None:
    facts = confirmed_facts(made_rows("chain-confirm", run_steps=(10,)))
    assert {key: facts[key] for key in ("step", "suite", "problems", "level", "level_low", "largest_budget")} == {
        "step": 10,
        "suite": "chain-confirm",
        "problems": 40,
        "level": pytest.approx(0.7),
        "level_low": pytest.approx(0.64),
        "largest_budget": 128,
    }


def test_the_table_has_all_three_models_and_the_verdict() -> None:
    lines = confirmed_table(made_rows("chain-confirm", run_steps=(10,))).splitlines()
    assert lines[0].startswith(
        "confirmed: step 10 on 40 problems x 2 that no sweep saw (chain-confirm), evaluated once"
    )
    assert [line.split()[0] for line in lines[-5:]] == ["8", "unpruned", "pruned", "confirmed", "PARTIAL:"]
    assert "0.70 [.64, .76]" in lines[-2] and confirmed_table([]) == ""


def test_other_confirmations_of_the_run_are_counted() -> None:
    assert confirmed_text(CONFIRMED) == TEXT
    assert "evaluated once, after 2 other confirmation(s) of this run: " in confirmed_text(CONFIRMED | {"earlier": 2})


@pytest.mark.parametrize(
    ("step", "confirmed", "selection", "note"),
    [
        (4, CONFIRMED, "Best of 3.", TEXT),
        (6, CONFIRMED, "Best of 3.", "Best of 3. Not confirmed: the confirmed checkpoint is that of step 4."),
        (6, CONFIRMED, "", "Not confirmed: the confirmed checkpoint is that of step 4."),
        (4, None, "Best of 3.", "Best of 3."),
        (4, None, "", ""),
    ],
)
def test_an_export_has_the_figures_of_its_own_confirmation_alone(
    step: int, confirmed: dict[str, Any] | None, selection: str, note: str
) -> None:
    assert note_on(step, confirmed, selection) == note


BEST = {"recipe": {"keep_best": METRIC}, "best": {"step": 4}}


@pytest.mark.parametrize(
    ("record", "lines", "cell"),
    [
        ({}, [], "-"),
        ({"recipe": {"keep_best": None}}, [], "-"),
        (BEST, ["Step 4: Best of 2 sweeps by sweep/chain/gain, uncorrected"], "best of 2, uncorrected"),
        ({**BEST, "confirmed": CONFIRMED}, [TEXT], "PARTIAL, 0.70 [.60, .80] (step 4, 40 problems)"),
        (
            {**BEST, "best": {"step": 2}, "confirmed": CONFIRMED},  # the last one is exported, the best one is kept too
            [TEXT, "Step 2: Best of 2 sweeps"],
            "PARTIAL, 0.70 [.60, .80] (step 4, 40 problems)",
        ),
        (
            {"confirmed": CONFIRMED | {"kept": 6}},
            [TEXT, "The run now keeps step 6, which is not confirmed"],
            "PARTIAL, 0.70 [.60, .80] (step 4, 40 problems)",
        ),
    ],
)
def test_where_a_run_stands(record: dict[str, Any], lines: list[str], cell: str) -> None:
    said = standing(record, sweeps(2, 4))
    assert len(said) == len(lines) and all(map(str.startswith, said, lines))
    assert standing_cell(record, sweeps(2, 4)) == cell
