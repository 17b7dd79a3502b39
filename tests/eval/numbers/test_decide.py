"""The words on models whose truth is known, and what the verdict says beside them."""

import numpy as np
import pytest

from eval.numbers.contrasts import contrast
from eval.numbers.decide import decide, verdict_line
from eval.numbers.retention import Paired
from recipes.sweep import VerdictSection
from tests.eval.numbers.made_models import BUDGETS, PRUNED, UNPRUNED, model_means

SECTION = VerdictSection()
FLAT = (0.6, 0.6, 0.6, 0.6, 0.6)


def _decide(run, unpruned, pruned, budgets=BUDGETS, section=SECTION):
    return decide(Paired(run, unpruned, pruned, budgets), section)


def _judge(accuracies, problems, unpruned=UNPRUNED, pruned=PRUNED, section=SECTION):
    return _decide(
        *(model_means(a, problems, s + 1) for s, a in enumerate((accuracies, unpruned, pruned))), BUDGETS, section
    )


@pytest.mark.parametrize(
    ("accuracies", "word"),
    [
        (UNPRUNED, "RETURNED"),
        ((0.1, 0.29, 0.53, 0.81, 0.91), "RETURNED"),
        ((0.95, 0.95, 0.95, 0.95, 0.95), "RETURNED"),  # as good everywhere, with no gain at all
        ((0.5, 0.7, 0.85, 0.93, 0.95), "RETURNED"),  # shorter thoughts for the same
        ((0.1, 0.18, 0.3, 0.42, 0.5), "PARTIAL"),
        ((0.1, 0.24, 0.42, 0.63, 0.7), "PARTIAL"),
        (PRUNED, "NOT RETURNED"),
        ((0.1, 0.1, 0.1, 0.1, 0.1), "NOT RETURNED"),
        ((0.9, 0.8, 0.6, 0.5, 0.4), "NOT RETURNED"),
    ],
)
def test_words_with_many_problems(accuracies, word):
    verdict = _judge(accuracies, 600)
    assert verdict.word == word, verdict
    assert verdict.problem_range is None and verdict.problems == 600


def test_where_nothing_was_lost_no_recovery_can_be_shown():
    same = model_means(UNPRUNED, 150, 2)
    verdict = _decide(same, same, same)
    assert verdict.word == "NOTHING LOST" and verdict.level_share is None
    assert "not measurably worse than the unpruned one at 128 tokens" in verdict_line(verdict)
    assert verdict_line(verdict).endswith("cannot show recovery: use a harder suite or a larger budget")


@pytest.mark.parametrize("unpruned", [FLAT, (0.93, 0.935, 0.94, 0.945, 0.95), (0.95, 0.9, 0.85, 0.8, 0.75)])
def test_where_the_unpruned_model_gains_less_than_delta_no_scaling_can_return(unpruned):
    verdict = _judge((0.4, 0.5, 0.55, 0.58, 0.6), 600, unpruned, (0.3, 0.3, 0.3, 0.3, 0.3))
    assert verdict.word == "NO SCALING HERE"
    assert verdict_line(verdict).endswith("use a harder suite or a wider range of budgets")


def test_the_pruned_model_itself_has_not_returned():
    pruned = model_means(PRUNED, 300, 3)
    verdict = _decide(pruned, model_means(UNPRUNED, 300, 2), pruned)
    assert verdict.word == "NOT RETURNED" and verdict.level_share.estimate == 0


def test_a_ruined_model_with_the_steeper_slope_has_not_returned():
    healthy, damaged, ruined = (0.8, 0.83, 0.86, 0.89, 0.92), (0.5, 0.52, 0.54, 0.56, 0.58), (0.0, 0.1, 0.2, 0.3, 0.4)
    verdict = _judge(ruined, 600, healthy, damaged)
    assert verdict.gain.estimate > 2 * verdict.unpruned_gain and verdict.gain_share.low > 1
    assert verdict.word == "NOT RETURNED"


def test_a_flat_run_that_is_short_at_the_top_by_less_than_delta_has_not_returned():
    healthy, damaged = (0.875, 0.9, 0.92, 0.94, 0.96), (0.34, 0.36, 0.39, 0.41, 0.43)
    assert _judge((0.93,) * 5, 3000, healthy, damaged).word != "RETURNED"
    assert _judge((0.96,) * 5, 3000, healthy, damaged).word == "RETURNED"


def test_the_shares_are_printed_whatever_the_word_is():
    for accuracies in (UNPRUNED, (0.1, 0.18, 0.3, 0.42, 0.5), PRUNED):
        verdict = _judge(accuracies, 600)
        run, unpruned, pruned = (model_means(a, 600, s + 1) for s, a in enumerate((accuracies, UNPRUNED, PRUNED)))
        back, lost = (run - pruned)[:, -1], (unpruned - pruned)[:, -1]
        assert verdict.level_share.estimate == pytest.approx(back.mean() / lost.mean())
        assert verdict.gain_share.estimate == pytest.approx(verdict.gain.estimate / verdict.unpruned_gain)
        # the end is where the contrast of the definition is just not shown
        assert contrast(back - verdict.level_share.low * lost, 1.0, 0.05).low == pytest.approx(0, abs=1e-9)
        level, gain = verdict.level_share, verdict.gain_share
        assert f"{level.estimate:.2f} [{level.low:.2f}, {level.high:.2f}] of the level lost" in verdict_line(verdict)
        assert f"the gain is {gain.estimate:.2f} [{gain.low:.2f}, {gain.high:.2f}]" in verdict_line(verdict)


def test_partial_says_whether_returned_is_refuted():
    short, near = _judge((0.1, 0.18, 0.3, 0.42, 0.5), 600), _judge((0.1, 0.28, 0.5, 0.78, 0.88), 100)
    assert (short.word, short.at_least, short.problem_range) == ("PARTIAL", False, None)
    assert (near.word, near.at_least) == ("PARTIAL", True)
    assert verdict_line(near).startswith("at least PARTIAL; RETURNED undecided: ")
    assert verdict_line(short).startswith("PARTIAL: ")


def test_undecided_says_where_returned_is_refuted():
    low, high = _judge((0.1, 0.13, 0.18, 0.25, 0.3), 20), _judge((0.3, 0.3, 0.4, 0.6, 0.75), 5)
    assert (low.word, low.at_most) == ("UNDECIDED", True)
    assert verdict_line(low).startswith("UNDECIDED, at most PARTIAL: ")
    assert (high.word, high.at_most) == ("UNDECIDED", False)


def test_references_that_do_not_differ_are_named_as_why_nothing_is_decided():
    unpruned, pruned = (model_means((0.3, 0.4, 0.5, 0.6, top), 30, s) for s, top in ((1, 0.7), (2, 0.62)))
    verdict = _decide(unpruned, unpruned, pruned)
    assert (verdict.word, verdict.level_share) == ("UNDECIDED", None)
    assert verdict_line(verdict).endswith("; until both are shown no sweep on this suite can show recovery")


def test_few_problems_are_undecided_and_say_how_many_would_decide():
    models = [model_means(a, 12, s) for s, a in enumerate(((0.1, 0.13, 0.16, 0.22, 0.24), UNPRUNED, PRUNED))]
    verdict = _decide(*models)
    needed = verdict.problem_range
    assert verdict.word == "UNDECIDED" and 12 <= needed.low <= needed.likely < 2000
    assert verdict.reasons[0].startswith("not shown: ")
    assert "12 problems are too few, " in verdict_line(verdict) and "would decide (80 % range)" in verdict_line(verdict)


def test_the_number_is_of_groups_where_problems_have_groups():
    models = Paired(*(model_means(a, 60, s) for s, a in enumerate((UNPRUNED, UNPRUNED, PRUNED))), BUDGETS)
    verdict = decide(models.grouped([f"g{k // 5}" for k in range(60)]), SECTION)
    assert (verdict.problems, verdict.unit) == (12, "groups")
    assert verdict.gain.estimate == pytest.approx(decide(models, SECTION).gain.estimate)


def test_thinking_off_has_no_part_in_the_verdict():
    models = [model_means(a, 300, s) for s, a in enumerate((UNPRUNED, UNPRUNED, PRUNED))]
    with_control = [np.column_stack([np.arange(300) % 2, model]) for model in models]
    with_off, plain = _decide(*with_control, (0, *BUDGETS)), _decide(*models)
    assert verdict_line(with_off) == verdict_line(plain) and with_off.reasons == plain.reasons
    few = _decide(*(model[:, :2] for model in with_control), (0, 8))
    assert few.word == "UNDECIDED" and "two budgets above 0" in verdict_line(few)


@pytest.mark.parametrize("shape", [(50, 1), (1, 5)])
def test_one_budget_or_one_problem_allows_no_verdict(shape):
    ones = np.ones(shape)
    verdict = _decide(ones, ones, ones, BUDGETS[: shape[1]])
    assert verdict.word == "UNDECIDED" and verdict.gain is None and verdict.problem_range is None
    assert "at least two" in verdict_line(verdict)


def test_the_line():
    verdict = _judge(UNPRUNED, 600)
    gain = verdict.gain
    interval = f"{gain.estimate:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}]"
    assert verdict_line(verdict).endswith(f"gain {interval} per doubling, unpruned {verdict.unpruned_gain:+.2f}")


def test_a_verdict_on_the_way_is_wider_and_says_so():
    own = np.random.default_rng(4).random((200, 1))
    models = Paired(*((own < np.array(a)).astype(float) for a in (UNPRUNED, UNPRUNED, PRUNED)), BUDGETS)
    alone, on_the_way = decide(models, SECTION), decide(models, SECTION, 6e-4)
    assert (alone.error, on_the_way.error) == (0.05, 6e-4) and on_the_way.gain.estimate == alone.gain.estimate
    assert on_the_way.gain.low < alone.gain.low < alone.gain.high < on_the_way.gain.high
    assert on_the_way.level_share.low < alone.level_share.low
    assert "(99.94 % interval, simultaneous over all sweeps of the run)" in verdict_line(on_the_way)
    assert "sweeps" not in verdict_line(alone)
