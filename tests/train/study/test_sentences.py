"""The sentences follow from intervals by rule."""

from __future__ import annotations

import math

import pytest

from eval.numbers.statistics import Interval
from recipes.study import BackClaim, DifferenceClaim
from tests.train.study.made_results import RESULTS, STUDY, arm
from train.study.findings import ClaimFinding, Word, findings
from train.study.sentences import claim_sentence, expectation_sentence, plain, signed

BACK = BackClaim(kind="back", arm="back", number="level", share=0.8, expected="below", why="few tokens")
MORE = DifferenceClaim(kind="difference", arm="back", against="not", number="gain", expected="above")
TITLES = {"back": "SFT alone", "not": "the sham"}


@pytest.mark.parametrize(
    ("value", "word", "said"),
    [
        (Interval(0.1, 0.05, 0.15), "the opposite of what was expected", "more than 0.80, the opposite of"),
        (Interval(-0.1, -0.15, -0.05), "as expected", "less than 0.80, as expected"),
        (Interval(0.0, -0.1, 0.1), "undecided", "neither more nor less than 0.80 is shown, undecided"),
    ],
)
def test_a_share_that_is_back(value: Interval, word: Word, said: str) -> None:
    found = ClaimFinding("it", BACK, word, arm("back"), None, value, Interval(0.5, 0.4, 0.6))
    start = "The arm that is back recovers 0.50 [0.40, 0.60] of the level that pruning removed, at this size: "
    assert claim_sentence(found).startswith(start + said)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Interval(0.1, 0.05, 0.15), "back has a higher gain per doubling of the budget than the arm that is not, at"),
        (Interval(-0.1, -0.15, -0.05), "back has a lower gain per doubling of the budget than the arm that is not, at"),
        (Interval(0.0, -0.1, 0.1), "back and the arm that is not are not distinguishable in gain per doubling"),
    ],
)
def test_a_difference(value: Interval, said: str) -> None:
    found = ClaimFinding("it", MORE, "undecided", arm("back"), arm("not"), value)
    assert said in claim_sentence(found) and signed(value) in claim_sentence(found)


def test_every_planted_claim_has_its_sentence() -> None:
    said = {claim.name: claim_sentence(claim) for claim in findings(STUDY, RESULTS).claims}
    assert "recovers 1.00" in said["comes"] and said["comes"].endswith("more than 0.80, as expected.")
    assert said["sham"].endswith("less than 0.20, the opposite of what was expected.")
    assert said["open"].endswith("neither more nor less than 0.80 is shown, undecided.")
    assert "and the pruned model before training are not distinguishable in accuracy without thinking" in said["off"]
    assert said["gone"] == "Not run: there are no trainings of gone or back."


def test_where_nothing_was_lost_nothing_can_come_back() -> None:
    found = ClaimFinding("it", BACK, "nothing was lost", arm("back"))
    assert "no loss of level by pruning is shown, so there is nothing to recover" in claim_sentence(found)


def test_what_is_expected_can_be_said_before_any_run() -> None:
    assert (
        expectation_sentence(BACK, TITLES)
        == "SFT alone recovers less than 0.80 of the level that pruning removed (few tokens)."
    )
    assert expectation_sentence(MORE, TITLES) == "SFT alone has a higher gain per doubling of the budget than the sham."


def test_an_end_that_nothing_bounds() -> None:
    assert plain(Interval(0.5, -math.inf, 1.25)) == "0.50 [.., 1.25]"
