"""The names under which a tracker shows numbers, and what stands under them."""

from __future__ import annotations

from typing import Any, get_args

from eval.numbers.retention import Word
from train.tracked_values import (
    VERDICT_SCORE,
    confirmed_values,
    detail_values,
    newest_values,
    recovery_values,
    reference_values,
    training_values,
)


def sweep(model: str, step: int, accuracy: float, suite: str = "chain") -> list[dict[str, Any]]:
    """A sweep with two budgets; the run's has a verdict and a recovered fraction."""
    of = {"model": model, "step": step, "suite": suite}
    at_budgets = [
        {**of, "budget": budget, "accuracy": level, "low": level - 0.1, "high": level + 0.1, "tokens_spent": 9.0}
        for budget, level in ((16, 0.25), (32, accuracy))
    ]
    whole = {**of, "budget": None, "level": accuracy, "base": 0.25, "gain_per_doubling": accuracy - 0.25}
    whole |= {"gain_low": 0.0, "gain_high": None, "termination": 1.0, "verdict": None}
    if model == "run":
        shares = [
            {"budget": 16, "fraction": None, "low": None, "high": None},
            {"budget": 32, "fraction": 0.5, "low": 0.25, "high": None},
        ]
        whole |= {"verdict": "PARTIAL", "recovered_fraction": shares, "gain_share": {"fraction": 0.75, "low": 0.5}}
        whole["gain_share"] |= {"high": 1.0}
    return [*at_budgets, whole]


def test_recovery_is_the_suite_that_decides_with_its_bounds() -> None:
    rows = [*sweep("run", 4, 0.5), *sweep("run", 4, 1.0, suite="shallow")]
    assert recovery_values(rows, "chain") == {
        "recovery/step": 4,
        "recovery/level": 0.5,
        "recovery/level_low": 0.4,
        "recovery/level_high": 0.6,
        "recovery/gain_per_doubling": 0.25,
        "recovery/gain_low": 0.0,
        "recovery/recovered_fraction": 0.5,
        "recovery/recovered_fraction_low": 0.25,
        "recovery/gain_share": 0.75,
        "recovery/gain_share_low": 0.5,
        "recovery/gain_share_high": 1.0,
        "recovery/termination": 1.0,
        "recovery/verdict": "PARTIAL",
        "recovery/verdict_score": 2,
    }


def test_a_suite_that_was_not_swept_has_no_values() -> None:
    assert recovery_values(sweep("run", 4, 0.5), "other") == {}


def test_every_verdict_has_a_score_and_returned_has_the_highest() -> None:
    assert set(VERDICT_SCORE) == set(get_args(Word))
    assert max(VERDICT_SCORE, key=VERDICT_SCORE.__getitem__) == "RETURNED"


def test_details_are_all_numbers_of_all_suites() -> None:
    values = detail_values([*sweep("run", 4, 0.5), *sweep("run", 4, 1.0, suite="shallow")])
    assert (values["detail/chain/acc@b32"], values["detail/shallow/acc@b32"]) == (0.5, 1.0)
    assert (values["detail/chain/tokens@b16"], values["detail/chain/gain_per_doubling"]) == (9.0, 0.25)
    assert "detail/chain/gain_high" not in values  # what is not known is left out


def test_a_reference_stands_under_its_model() -> None:
    assert reference_values(sweep("pruned", 0, 0.5))["reference/pruned/chain/acc@b32"] == 0.5
    assert reference_values([]) == {}


def test_a_row_of_training_leaves_out_what_is_not_known() -> None:
    values = training_values({"step": 2, "loss": 0.5, "mfu": None}, 2)
    assert values == {"train/loss": 0.5, "train/global_step": 2}


def test_the_newest_values_are_those_of_the_newest_sweep_and_not_of_a_reference() -> None:
    rows = [*sweep("unpruned", 0, 1.0), *sweep("pruned", 0, 0.3), *sweep("run", 4, 0.5), *sweep("run", 8, 0.9)]
    values = newest_values(rows, [{"step": 7, "loss": 2.0}, {"step": 8, "loss": 1.0}], "chain")
    assert (values["recovery/level"], values["recovery/step"], values["detail/chain/level"]) == (0.9, 8, 0.9)
    assert (values["train/loss"], values["train/global_step"]) == (1.0, 8)
    assert values["reference/unpruned/chain/level"] == 1.0
    assert values["reference/pruned/chain/level"] == 0.3


def test_a_run_without_a_sweep_has_only_its_references() -> None:
    values = newest_values(sweep("unpruned", 0, 1.0), [], "chain")
    assert {key.split("/")[0] for key in values} == {"reference"}


def test_a_confirmation_has_keys_of_its_own_in_the_summary() -> None:
    numbers = dict.fromkeys(("level_low", "level_high", "gain_per_doubling", "gain_low", "gain_high"), 0.5)
    confirmed = {"step": 4, "problems": 40, "verdict": "PARTIAL", "level": 0.7, "weights": "abc", **numbers}
    values = confirmed_values(confirmed)
    assert (values["confirmed/verdict"], values["confirmed/level"], len(values)) == ("PARTIAL", 0.7, 9)
    assert confirmed_values(None) == {}
