"""The rule, statement by statement, and how seldom it says RETURNED of runs that have not."""

from collections import Counter

import numpy as np
import pytest

from eval.numbers.contrasts import contrast
from eval.numbers.retention import Paired, claims, measure, refutation, word_of
from eval.numbers.statements import is_shown
from recipes.sweep import VerdictSection
from tests.bench.verdicts import NOT_YET, WORLDS, false_returned, may_be_returned, shares, simulate, word
from tests.eval.numbers.made_models import BUDGETS, PRUNED, UNPRUNED, model_means

SECTION = VerdictSection()


def _models(run, unpruned=UNPRUNED, pruned=PRUNED, problems=400):
    return Paired(*(model_means(a, problems, s) for s, a in enumerate((run, unpruned, pruned))), BUDGETS)


def test_the_contrasts_by_hand():
    models = _models((0.1, 0.28, 0.5, 0.8, 0.9))
    c = measure(models, SECTION, 0.04)
    run, unpruned, pruned = models.run, models.unpruned, models.pruned
    weights = np.array([-0.2, -0.1, 0, 0.1, 0.2])  # least squares over five budgets a doubling apart
    assert c.level == contrast(run[:, 4] - pruned[:, 4] - 0.8 * (unpruned[:, 4] - pruned[:, 4]), 1.0, 0.04)
    assert c.gain_kept_half.estimate == pytest.approx(((run - 0.8 * unpruned) @ weights).mean())
    assert (c.gain_kept_half.error, c.level_low_half.error, c.loss.error, c.unpruned_gain.error) == (
        0.02,
        0.02,
        0.05,
        0.05,
    )
    assert c.gain_kept_half.scale == pytest.approx(0.3) and c.doublings == 4
    # a fifth of the unpruned gain over four doublings is more than delta here, so it is what may be missing
    fifth = 0.2 * 4 * (unpruned @ weights)
    assert fifth.mean() > 0.05 and c.margin == 0
    lows = {b: contrast(run[:, k] - unpruned[:, k] + fifth, 1.0, 0.02).low for k, b in enumerate(BUDGETS)}
    assert c.shortfall_half[0] == min(lows, key=lows.get) and c.shortfall_half[1].low == pytest.approx(
        min(lows.values())
    )


def test_where_the_unpruned_gain_is_small_delta_is_what_may_be_missing():
    assert measure(_models((0.8,) * 5, (0.8, 0.83, 0.86, 0.89, 0.92)), SECTION, 0.05).margin == -0.05


def test_both_ways_to_returned_are_used():
    gain_alone = claims(measure(_models((0.02, 0.15, 0.4, 0.72, 0.88)), SECTION, 0.05), SECTION)
    near_alone = claims(measure(_models((0.9, 0.92, 0.93, 0.94, 0.95)), SECTION, 0.05), SECTION)
    texts = [" ".join(statement.text for statement in by_word["RETURNED"]) for by_word in (gain_alone, near_alone)]
    assert [word_of(by_word) for by_word in (gain_alone, near_alone)] == ["RETURNED", "RETURNED"]
    assert "gain minus 0.8 of the unpruned gain" in texts[0] and "accuracy minus the unpruned accuracy at" in texts[1]


def test_refuted_where_the_level_is_short_and_where_the_gain_is_and_the_run_too():
    half, whole = (measure(_models(a), SECTION, 0.05) for a in ((0.1, 0.2, 0.3, 0.45, 0.55), UNPRUNED))
    assert is_shown(refutation(half, SECTION)) and not is_shown(refutation(whole, SECTION))


def test_other_shares_draw_other_lines():
    models = _models((0.1, 0.2, 0.35, 0.5, 0.62))  # 0.55 of the loss back
    words = [
        word_of(claims(measure(models, section, 0.05), section))
        for section in (SECTION, VerdictSection(returned_share=0.4), VerdictSection(not_returned_share=0.7))
    ]
    assert words == ["PARTIAL", "RETURNED", "NOT RETURNED"]


def test_models_of_other_problems_or_budgets_are_no_pair():
    run = model_means(UNPRUNED, 10, 1)
    for other in (run[:9], run[:, :4]):
        with pytest.raises(ValueError, match="not the same problems at 5 budgets"):
            Paired(run, other, run, BUDGETS)


@pytest.mark.parametrize(
    "world", ["untrained, MATH-500 -1", "untrained, MATH-500 -2", "untrained, embedded", "ruined but steep"]
)
def test_a_model_that_nothing_was_done_for_is_never_returned(world):
    assert shares(WORLDS[world], (100, 1), 200)[0]["RETURNED"] / 200 <= 0.02


@pytest.mark.parametrize(
    ("world", "size", "least"),
    [
        ("1 back, MATH-500 -2", (500, 4), 0.9),
        ("1 back, MATH-500 -3", (500, 4), 0.9),
        ("at its ceiling at once", (100, 1), 0.9),
        ("shorter thoughts", (100, 1), 0.9),
    ],
)
def test_what_is_whole_is_called_so(world, size, least):
    assert shares(WORLDS[world], size, 100)[0]["RETURNED"] / 100 >= least


@pytest.mark.parametrize("place", ["MATH-500 -2", "MATH-500 -3", "embedded"])
def test_most_of_it_back_is_decided(place):
    assert shares(WORLDS[f"0.85 back, {place}"], (500, 4), 60)[0]["UNDECIDED"] == 0


@pytest.mark.parametrize("world", ["0.85 back, embedded", "1 back, MATH-500 -2", "untrained, embedded"])
def test_what_the_simulation_passes_over_is_never_returned(world):
    generator, said = np.random.default_rng(3), Counter()
    for _ in range(100):
        models = simulate(WORLDS[world], (100, 1), generator)
        said[may_be_returned(models, 0.05), word(models, 0.05) == "RETURNED"] += 1
    assert said[False, True] == 0 and (said[True, True] > 0) is (world != "untrained, embedded")


@pytest.mark.parametrize("world", ["gain and shortfall, MATH-500", "gain and shortfall, embedded", "level on the line"])
def test_what_has_not_returned_by_as_little_as_can_be_is_seldom_called_so(world):
    # 0.025 and two and a half standard errors of 600 repetitions
    assert false_returned(NOT_YET[world], (100, 4), 600, 1) <= 0.041


@pytest.mark.slow
@pytest.mark.parametrize("world", NOT_YET)
@pytest.mark.parametrize("size", [(30, 1), (100, 4), (500, 1)])
def test_false_returned_is_rare_at_one_sweep(world, size):
    assert false_returned(NOT_YET[world], size, 2000, 1) <= 0.025 + 2.5 * 0.0035


@pytest.mark.slow
@pytest.mark.parametrize("world", NOT_YET)
def test_false_returned_is_rare_over_forty_sweeps(world):
    """At one size: forty times the work; `python -m tests.bench.verdicts` has the others."""
    assert false_returned(NOT_YET[world], (100, 4), 400, 40) <= 0.025 + 2.5 * 0.0078
