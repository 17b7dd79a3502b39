"""All four words, on models whose truth is known."""

import numpy as np
import pytest

from eval.numbers.contrasts import Contrast
from eval.numbers.decide import Paired, Statement, decide, verdict_line
from recipes.sweep import VerdictSection
from tests.eval.numbers.made_models import BUDGETS, PRUNED, UNPRUNED, model_means

SECTION = VerdictSection()


def _decide(run, unpruned, pruned, budgets=BUDGETS, section=SECTION):
    return decide(Paired(run, unpruned, pruned, budgets), section)


def _judge(accuracies, problems, section=SECTION, pruned=PRUNED):
    return _decide(
        model_means(accuracies, problems, 1),
        model_means(UNPRUNED, problems, 2),
        model_means(pruned, problems, 3),
        BUDGETS,
        section,
    )


@pytest.mark.parametrize(
    ("accuracies", "word"),
    [
        (UNPRUNED, "RETURNED"),
        ((0.1, 0.28, 0.5, 0.8, 0.9), "RETURNED"),
        ((0.1, 0.18, 0.3, 0.42, 0.5), "PARTIAL"),
        (PRUNED, "NOT RETURNED"),
        ((0.1, 0.1, 0.1, 0.1, 0.1), "NOT RETURNED"),
        ((0.9, 0.8, 0.6, 0.5, 0.4), "NOT RETURNED"),
    ],
)
def test_words_with_many_problems(accuracies, word):
    verdict = _judge(accuracies, 600)
    assert verdict.word == word, verdict
    assert verdict.problems_needed is None and verdict.problems == 600


def test_a_model_compared_with_itself_has_returned():
    same = model_means(UNPRUNED, 150, 2)
    verdict = _decide(same, same, same)
    assert verdict.word == "RETURNED" and verdict.recovered is None
    assert "not measurably worse than the unpruned one at 128 tokens" in verdict_line(verdict)


def test_the_pruned_model_itself_has_not_returned():
    pruned = model_means(PRUNED, 300, 3)
    assert _decide(pruned, model_means(UNPRUNED, 300, 2), pruned).word == "NOT RETURNED"


def test_a_ruined_model_with_the_steeper_slope_has_not_returned():
    healthy, damaged, ruined = (0.8, 0.83, 0.86, 0.89, 0.92), (0.5, 0.52, 0.54, 0.56, 0.58), (0.0, 0.1, 0.2, 0.3, 0.4)
    verdict = _decide(*(model_means(a, 600, s) for s, a in enumerate((ruined, healthy, damaged))))
    assert verdict.gain > 2 * verdict.unpruned_gain
    assert verdict.word == "NOT RETURNED"


def test_the_level_alone_can_be_short():
    healthy, damaged, half = (0.85, 0.87, 0.9, 0.93, 0.95), (0.3, 0.32, 0.35, 0.38, 0.4), (0.45, 0.48, 0.5, 0.53, 0.56)
    verdict = _decide(*(model_means(a, 600, s) for s, a in enumerate((half, healthy, damaged))))
    assert verdict.word == "PARTIAL"
    assert any("part that must be back" in reason for reason in verdict.reasons)


def _decided(models, problems, repetitions):
    """Share of repetitions with so many problems, drawn from those of `models`, that have a verdict."""
    generator, decided = np.random.default_rng(8), 0
    for _ in range(repetitions):
        drawn = generator.integers(0, len(models[0]), problems)
        decided += _decide(*(model[drawn] for model in models)).word != "UNDECIDED"
    return decided / repetitions


FEW = [(UNPRUNED, 12), ((0.1, 0.2, 0.35, 0.55, 0.7), 24), ((0.1, 0.13, 0.16, 0.22, 0.24), 16)]


@pytest.mark.parametrize(("accuracies", "problems"), FEW)
def test_few_problems_are_undecided_and_say_how_many_would_decide(accuracies, problems):
    models = [model_means(a, problems, s) for s, a in enumerate((accuracies, UNPRUNED, PRUNED))]
    verdict = _decide(*models)
    assert verdict.word == "UNDECIDED" and problems < verdict.problems_needed < 2000
    assert f"about {verdict.problems_needed:,} would decide" in verdict_line(verdict)
    assert _decided(models, verdict.problems_needed, 60) >= 0.68  # 0.8 less two standard errors and a half


@pytest.mark.slow
@pytest.mark.parametrize("accuracies", [UNPRUNED, (0.1, 0.2, 0.35, 0.55, 0.7), (0.1, 0.18, 0.3, 0.42, 0.5)])
def test_the_number_needed_decides_in_four_of_five_repetitions(accuracies):
    """Were the estimates the truth; over pilots of 24 problems that are undecided."""
    shares = []
    for pilot in range(30):
        models = [
            model_means(a, 600, s)[pilot * 20 : pilot * 20 + 24] for s, a in enumerate((accuracies, UNPRUNED, PRUNED))
        ]
        verdict = _decide(*models)
        if verdict.problems_needed is not None and verdict.problems_needed < 3000:
            shares.append(_decided(models, verdict.problems_needed, 40))
    assert len(shares) >= 8 and 0.75 <= np.mean(shares) <= 0.92


def test_the_number_needed_by_hand():
    # Student's interval and 0.84 standard errors must fit into the distance: (1.96 + 0.8416)² * 0.5² / 0.05² = 785, a
    # few more as Student's quantile is not the normal one
    contrast = Contrast(estimate=0.05, low=-1, high=1, deviation=0.5, skewness=0.0, scale=0.0)
    needed = Statement("", contrast, distance=0.05, side=0).problems_needed(20, 0.05)
    assert 785 <= needed <= 790
    assert Statement("", contrast, distance=-0.05, side=1).problems_needed(20, 0.05) is None


def test_no_number_of_problems_decides_at_the_threshold():
    run = model_means(UNPRUNED, 200, 1)
    flat = np.tile([1.0, 1.0, 1.0, 1.0, 1.0], (200, 1))
    verdict = _decide(flat, flat, flat)
    assert verdict.word == "UNDECIDED" and verdict.problems_needed is None
    assert any("gain of the unpruned model" in reason for reason in verdict.reasons)
    assert verdict_line(verdict).endswith("cannot show recovery: use a harder suite or a larger budget")
    assert _decide(run, run, run).word == "RETURNED"


def test_thinking_off_has_no_part_in_the_verdict():
    models = [model_means(a, 300, s) for s, a in enumerate((UNPRUNED, UNPRUNED, PRUNED))]
    with_control = [np.column_stack([np.arange(300) % 2, model]) for model in models]
    found, plain = _decide(*with_control, (0, *BUDGETS)), _decide(*models)
    assert verdict_line(found) == verdict_line(plain) and found.reasons == plain.reasons
    few = _decide(*(model[:, :2] for model in with_control), (0, 8))
    assert few.word == "UNDECIDED" and "two budgets above 0" in verdict_line(few)


@pytest.mark.parametrize("shape", [(50, 1), (1, 5)])
def test_one_budget_or_one_problem_allows_no_verdict(shape):
    ones = np.ones(shape)
    verdict = _decide(ones, ones, ones, BUDGETS[: shape[1]])
    assert verdict.word == "UNDECIDED" and verdict.gain is None and verdict.problems_needed is None
    assert "at least two" in verdict_line(verdict)


def test_the_same_sweep_has_the_same_verdict():
    assert _judge(UNPRUNED, 100) == _judge(UNPRUNED, 100)


def test_the_line():
    verdict = _judge(UNPRUNED, 600)
    interval = f"{verdict.gain:+.2f} [{verdict.gain_low:+.2f}, {verdict.gain_high:+.2f}]"
    gains = f"gain {interval} per doubling, unpruned {verdict.unpruned_gain:+.2f}"
    back = f"{verdict.recovered:.2f} of the accuracy lost at 128 tokens is back"
    assert verdict_line(verdict) == f"RETURNED: {gains}; {back}"


def test_models_of_other_problems_or_budgets_are_no_pair():
    run = model_means(UNPRUNED, 10, 1)
    for other in (run[:9], run[:, :4]):
        with pytest.raises(ValueError, match="not the same problems at 5 budgets"):
            Paired(run, other, run, BUDGETS)
