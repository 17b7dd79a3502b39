"""How verdicts of sweeps that follow each other read."""

from __future__ import annotations

from typing import Any

import pytest

from eval.numbers.history import after_others, read_verdict

PARTIAL_AT_LEAST: dict[str, Any] = {"verdict": "PARTIAL", "verdict_at_least": True}
AT_MOST_PARTIAL: dict[str, Any] = {"verdict": "UNDECIDED", "verdict_at_most": True}


def rows(*verdicts: str | dict[str, Any]) -> list[dict[str, Any]]:
    """The rows with budget null of sweeps at steps 10, 20 …"""
    of_run = {"model": "run", "suite": "chain", "budget": None}
    return [
        of_run | {"step": 10 * place} | (verdict if isinstance(verdict, dict) else {"verdict": verdict})
        for place, verdict in enumerate(verdicts, 1)
    ]


@pytest.mark.parametrize(
    ("summary", "said"),
    [
        (None, ""),
        ({"verdict": None}, ""),
        ({"verdict": "RETURNED"}, "RETURNED"),
        ({"verdict": "PARTIAL", "verdict_at_least": False}, "PARTIAL"),
        (PARTIAL_AT_LEAST, "at least PARTIAL; RETURNED undecided"),
        (AT_MOST_PARTIAL, "UNDECIDED, at most PARTIAL"),
    ],
)
def test_a_word_is_read_with_what_is_open(summary: dict[str, Any] | None, said: str) -> None:
    assert read_verdict(summary) == said


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        (["NOT RETURNED", "UNDECIDED"], "UNDECIDED"),
        (["UNDECIDED", PARTIAL_AT_LEAST], "at least PARTIAL; RETURNED undecided"),
        ([PARTIAL_AT_LEAST, "RETURNED"], "RETURNED"),
        (
            ["RETURNED", "RETURNED", PARTIAL_AT_LEAST],
            "at least PARTIAL; RETURNED undecided (RETURNED was shown at step 20 and is not refuted here)",
        ),
        ([PARTIAL_AT_LEAST, "UNDECIDED"], "UNDECIDED (PARTIAL was shown at step 10 and is not refuted here)"),
        (["RETURNED", "PARTIAL"], "PARTIAL (RETURNED was shown at step 10 and is refuted here)"),
        (
            ["RETURNED", AT_MOST_PARTIAL],
            "UNDECIDED, at most PARTIAL (RETURNED was shown at step 10 and is refuted here)",
        ),
        ([PARTIAL_AT_LEAST, "NOT RETURNED"], "NOT RETURNED (PARTIAL was shown at step 10 and is refuted here)"),
    ],
)
def test_a_sweep_that_shows_less_says_whether_the_more_is_refuted(verdicts: list[Any], said: str) -> None:
    assert after_others(rows(*verdicts), "chain", 10 * len(verdicts)) == said


def test_later_sweeps_and_other_suites_have_no_part_in_it() -> None:
    other = [row | {"suite": "other", "step": 5, "verdict": "RETURNED"} for row in rows("RETURNED")]
    assert after_others([*other, *rows("UNDECIDED", "RETURNED")], "chain", 10) == "UNDECIDED"
