"""A sweep in one line."""

from __future__ import annotations

from eval.show.lines import sweep_line
from tests.eval.show.made_rows import made_rows


def test_the_first_sweep_is_held_against_the_pruned_model():
    assert sweep_line(made_rows(run_steps=(10,), budgets=(8, 128)), "chain") == (
        "step 10, chain: 8 .35 · 128 .70 | gain +0.14 | against pruned: level +0.50, gain +0.10 | PARTIAL"
    )


def test_a_later_one_against_the_sweep_before():
    line = sweep_line(made_rows(run_steps=(4, 10), budgets=(8, 128)), "chain")
    assert "| gain +0.14 | since step 4: level +0.30, gain +0.06 | PARTIAL" in line


def test_other_suites_missing_thoughts_and_seconds_stand_in_the_line():
    rows = made_rows(run_steps=(10,), budgets=(8, 128))
    rows[-2]["missing"] = 3
    rows[-1]["seconds"] = 31.4
    line = sweep_line([*made_rows("knowledge", run_steps=(10,)), *rows], "chain")
    assert line.endswith("| PARTIAL | knowledge .70 | 3 thoughts missing | 31 s")


def test_a_verdict_is_read_with_what_was_shown_before():
    rows = made_rows(run_steps=(4, 10))
    for row in rows:
        if row["budget"] is None and row["model"] == "run":
            row |= {"verdict": "RETURNED"} if row["step"] == 4 else {"verdict_at_least": True}
    assert (
        "| at least PARTIAL; RETURNED undecided (RETURNED was shown at step 4 and is not refuted here)"
        in sweep_line(rows, "chain")
    )


def test_without_a_gain_or_a_verdict_nothing_is_said_of_them():
    rows = made_rows(run_steps=(10,), budgets=(8,))
    for row in rows:
        if row["budget"] is None:
            row |= {"gain_per_doubling": None, "verdict": None}
    assert sweep_line(rows, "chain") == "step 10, chain: 8 .70 | against pruned: level +0.50"
