"""What is said before the first step: references, sweeps to come, and whether the suite can show recovery."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from eval.types import Score, SuiteSweep
from recipes.errors import UserError
from recipes.loader import load
from recipes.sweep import SweepSection
from runtime.ranks import ALONE
from train.outlook import share_of_sweeps, show_references, sweep_seconds, sweeps_of, to_come
from train.references import References

BUDGETS = (16, 32)


def section(**keys: Any) -> SweepSection:
    return load(["recipe=lora_recovery.yaml"]).sweep.changed(**{"every_steps": 15, **keys})


def reference(model: Any, right: int) -> SuiteSweep:
    """40 problems, of which `right` are right at the larger budget."""
    scores = [
        Score(f"p{n}", 0, budget, n < right and budget == 32, "", "", budget, 1, True, False, False)
        for n in range(40)
        for budget in BUDGETS
    ]
    return SuiteSweep(model, 0, "chain", BUDGETS, tuple(scores), "protocol")


def references(pruned: int, seconds: float | None = None) -> References:
    return References(
        {"chain": reference("unpruned", 30)},
        {"chain": reference("pruned", pruned)},
        {} if seconds is None else {"pruned": seconds},
    )


def test_the_references_come_as_a_table_with_the_sweeps_to_come(capsys: pytest.CaptureFixture[str]) -> None:
    show_references(references(8, 31.0), section(), 120, ALONE)
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[0] == "before training, chain: accuracy by thinking budget, 40 problems x 1, 95 % intervals"
    assert [line.split()[0] for line in lines[2:4]] == ["unpruned", "pruned"] and "0.75 [" in lines[2]
    assert lines[-1] == (
        "8 sweeps to come: every 15 steps and after step 120; about 0:31 each, like that of the pruned model, "
        "4:08 in all"
    )


def test_a_suite_that_cannot_show_recovery_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    show_references(references(30), section(), 120, ALONE)
    assert "WARNING: suite chain cannot show recovery: the pruned model is not shown to be worse" in (
        " ".join(capsys.readouterr().out.split())
    )


def test_suites_that_can_show_recovery_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    flat, steep = references(30), references(8)
    both = References(
        {**flat.unpruned, "steep": replace(steep.unpruned["chain"], suite="steep")},
        {**flat.pruned, "steep": replace(steep.pruned["chain"], suite="steep")},
    )
    chain = section().verdict.changed(suite="chain")
    show_references(both, section(verdict=chain), 120, ALONE)
    assert "suites that can: steep (sweep.verdict.suite=steep)" in " ".join(capsys.readouterr().out.split())


def test_it_stops_a_run_that_requires_a_gap() -> None:
    verdict = section().verdict.changed(require_gap=True)
    show_references(references(8), section(verdict=verdict), 120, ALONE)
    with pytest.raises(UserError, match="cannot show recovery.*\n.*require_gap=true: stopped before training"):
        show_references(references(30), section(verdict=verdict), 120, ALONE)


def test_other_ranks_are_silent(capsys: pytest.CaptureFixture[str]) -> None:
    show_references(references(30), section(), 120, replace(ALONE, rank=1, count=2))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("every", "steps", "sweeps"), [(15, 120, 8), (15, 121, 9), (50, 20, 1)])
def test_how_many_sweeps(every: int, steps: int, sweeps: int) -> None:
    assert sweeps_of(every, steps) == sweeps


def test_what_is_not_known_is_not_said() -> None:
    assert to_come(references(8), section(every_steps=50), 20) == (
        "1 sweep to come: every 50 steps and after step 20; their cost is printed after the first"
    )


def test_the_newest_sweep_says_what_one_takes_and_before_it_the_reference() -> None:
    rows = [{"model": "unpruned", "seconds": 9.0}, *({"model": "run", "seconds": s} for s in (2.0, 3.0, None))]
    assert sweep_seconds(rows, references(8, 31.0)) == 3.0
    assert sweep_seconds(rows[:1], references(8, 31.0)) == 31.0


def test_the_share_of_sweeps() -> None:
    # 8 sweeps of 30 s beside 120 steps of 6 s: 240 of 960 s
    assert share_of_sweeps(section(), 120, 30.0, 6.0) == (
        "sweeps take about 25% of the time: 8 of 0:30 and 120 steps of 6 s, 16:00 in all"
    )


def test_sweeps_that_take_most_of_the_time_name_the_keys_that_leave_some_out() -> None:
    assert "80% of the time" in (said := share_of_sweeps(section(), 120, 30.0, 0.5)) and "sweep.max_share=0.2" in said


def test_sweeps_that_are_kept_to_a_share_say_so() -> None:
    assert share_of_sweeps(section(max_share=0.2), 120, 30.0, 0.5) == (
        "sweeps are limited to 20% of the time (sweep.max_share); all 8 would take 80% of it"
    )


@pytest.mark.parametrize(("keys", "seconds"), [({}, None), ({"background": True}, 30.0)])
def test_no_share_where_it_is_not_known_or_costs_nothing(keys: dict[str, Any], seconds: float | None) -> None:
    assert share_of_sweeps(section(**keys), 120, seconds, 6.0) == ""
