"""What is found of planted truths."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from eval.numbers.statistics import Interval
from recipes.study import BackClaim
from tests.train.study.made_results import BUDGETS, PROBLEMS, PRUNED, RESULTS, STUDY, UNPRUNED, answers, arm, trained
from train.study.findings import at_same_seeds, findings, share_back, spreads, tokens_ratio, word_of
from train.study.results import ArmResult, Results, Trained

FOUND = findings(STUDY, RESULTS)


def test_each_claim_has_the_word_of_its_planted_truth() -> None:
    assert {claim.name: claim.word for claim in FOUND.claims} == {
        "comes": "as expected",
        "sham": "the opposite of what was expected",
        "open": "undecided",
        "more": "as expected",
        "off": "undecided",
        "gone": "not run",
    }


@pytest.mark.parametrize(("name", "share"), [("back", 1.0), ("not", 0.0), ("unsure", 0.8)])
def test_the_share_of_the_level_that_is_back(name: str, share: float) -> None:
    found = FOUND.named[name].level_back
    assert found is not None and found.estimate == pytest.approx(share) and found.low < share < found.high


def test_a_gain_is_compared_with_the_unpruned_one() -> None:
    """Slopes over 3 doublings' ends: unpruned (.9 - .3) / 2 = .3 a doubling, pruned (.2 - .1) / 2 = .05."""
    shares = {name: FOUND.named[name].gain_back for name in ("back", "not")}
    assert [share.estimate for share in shares.values() if share] == pytest.approx([1.0, 0.05 / 0.3])


def test_without_a_loss_nothing_can_come_back() -> None:
    whole = ArmResult("control", "", tuple(_with_pruned(seed, UNPRUNED) for seed in (1, 2)))
    assert share_back(whole, "level", BUDGETS, 0.05, None) is None
    claim = BackClaim(kind="back", arm="control", number="level", expected="above")
    study = STUDY.model_copy(update={"claims": {"it": claim}, "pairs": []})
    assert findings(study, Results("chain", BUDGETS, PROBLEMS, (whole,))).claims[0].word == "nothing was lost"


def _with_pruned(seed: int, curve: tuple[float, ...]) -> Trained:
    one = trained(UNPRUNED, seed)
    return replace(one, answers={**one.answers, "pruned": answers(curve)})


def test_intervals_of_arms_are_wider_than_those_of_one_arm_alone() -> None:
    alone = findings(STUDY, Results("chain", BUDGETS, PROBLEMS, (arm("unsure"),))).named["unsure"].numbers["level"]
    together = FOUND.named["unsure"].numbers["level"]
    assert together.low < alone.low and together.high > alone.high


def test_a_share_of_problems_stays_within_0_and_1() -> None:
    numbers = [FOUND.named[name].numbers["termination"] for name in ("back", "not")]
    assert all(0 <= each.low <= each.high <= 1 for each in numbers)


def test_pairs_have_holms_correction_by_number_and_leave_out_what_did_not_run() -> None:
    level = [pair for pair in FOUND.pairs if pair.number == "level"]
    assert [(pair.first.name, pair.second.name) for pair in level] == [("back", "not"), ("back", "unsure")]
    assert level[0].interval.estimate == pytest.approx(0.7)
    assert level[0].adjusted == pytest.approx(2 * level[0].p)


def test_pairs_are_of_the_seeds_that_both_have() -> None:
    both = at_same_seeds(arm("back", (1, 2, 3)), arm("not", (3, 4)))
    assert both is not None and [[each.seed for each in one.trainings] for one in both] == [[3], [3]]
    assert at_same_seeds(arm("back", (1,)), arm("not", (2,))) is None


def test_tokens_of_a_pair() -> None:
    assert tokens_ratio(arm("back", labelled_tokens=1500), arm("not", labelled_tokens=1000)) == 1.5


def test_the_spread_between_trainings_is_that_of_all_arms() -> None:
    """Every training of a planted arm solves as many problems, so nothing differs between them."""
    found = spreads(RESULTS)["level"]
    assert found is not None and (found.variance, found.degrees) == (pytest.approx(0), 6)


@pytest.mark.parametrize(
    ("ends", "expected", "word"),
    [
        ((0.1, 0.3), "above", "as expected"),
        ((0.1, 0.3), "below", "the opposite of what was expected"),
        ((-0.3, -0.1), "below", "as expected"),
        ((-0.3, -0.1), "above", "the opposite of what was expected"),
        ((-0.1, 0.3), "above", "undecided"),
        ((0.0, 0.3), "above", "undecided"),
    ],
)
def test_the_word_follows_from_the_side_of_the_interval(
    ends: tuple[float, float], expected: Literal["above", "below"], word: str
) -> None:
    assert word_of(Interval(float(np.mean(ends)), *ends), expected) == word


def test_the_planted_pruned_model_has_lost() -> None:
    assert UNPRUNED[-1] - PRUNED[-1] == pytest.approx(0.7)
