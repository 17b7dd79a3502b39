"""From scores to the rows of sweeps.jsonl."""

import json
from dataclasses import replace

import numpy as np
import pytest

from eval.numbers.decide import decide
from eval.numbers.retention import Paired
from eval.numbers.statistics import accuracy_interval
from eval.numbers.summary import (
    at_step,
    newest,
    paired_ids,
    problem_ids,
    problem_means,
    steps,
    suites,
    sweep_rows,
    totals,
    verdict_suite,
)
from eval.types import Score, SuiteSweep
from recipes.sweep import VerdictSection

SECTION = VerdictSection()
BUDGET_KEYS = [
    "step",
    "model",
    "suite",
    "budget",
    "accuracy",
    "low",
    "high",
    "problems",
    "groups",
    "samples",
    "missing",
    "tokens_spent",
    "answer_tokens",
    "total_tokens",
    "closed",
    "cut",
    "looping",
    "protocol",
    "method",
    "chance",
]


def _score(problem, sample, budget, correct):
    return Score(
        problem,
        sample,
        budget,
        correct,
        "7" if correct else "8",
        "",
        min(budget, 10),
        3,
        budget >= 16,
        budget == 8,
        problem == "a",
    )


def _sweep(model="run", right=8, problems="abcd", samples=2, budgets=(8, 16)):
    """Every thought is right from budget `right` on, but those on problem d, whose first sample alone is ever right."""
    scores = tuple(
        _score(p, s, b, b >= right and (p != "d" or s == 0)) for p in problems for s in range(samples) for b in budgets
    )
    return SuiteSweep(model, 5, "chain", budgets, scores, "hash")


def test_problem_means():
    sweep = _sweep(right=16)
    assert problem_ids(sweep) == ["a", "b", "c", "d"]
    assert problem_means(sweep, ["d", "a"]).tolist() == [[0, 0.5], [0, 1]]
    with pytest.raises(ValueError, match="no score"):
        problem_means(sweep, ["z"])


def test_rows_have_the_keys_of_the_design_and_their_values():
    first, second, whole = sweep_rows(_sweep(right=16), None, None, SECTION)
    assert sorted(first) == sorted(second) == sorted(BUDGET_KEYS)
    assert first["accuracy"] == 0 and second["accuracy"] == 7 / 8 and second["low"] < 7 / 8 < second["high"]
    assert (first["tokens_spent"], second["tokens_spent"]) == (8, 10)
    assert (first["answer_tokens"], first["total_tokens"], second["total_tokens"]) == (3, 11, 13)
    assert (first["closed"], second["closed"], first["cut"], second["cut"], first["looping"]) == (0, 1, 1, 0, 0.25)
    assert (first["method"], first["chance"]) == ("generate", None)
    assert (first["problems"], first["samples"], first["step"], first["model"], first["protocol"]) == (
        4,
        2,
        5,
        "run",
        "hash",
    )
    assert (
        whole["budget"] is None
        and whole["base"] == 0
        and whole["level"] == 7 / 8
        and whole["termination"] == 1
        and whole["verdict"] is None
    )
    assert whole["gain_per_doubling"] == whole["total_gain"] == pytest.approx(7 / 8)
    assert whole["gain_low"] < 7 / 8 < whole["gain_high"]
    assert [(one["k"], one["value"], one["problems"]) for one in whole["pass_at_k"]] == [(1, 7 / 8, 4), (2, 1.0, 4)]
    assert (whole["pass_at_k"][0]["low"], whole["pass_at_k"][0]["high"]) == (second["low"], second["high"])
    assert [(one["k"], one["value"], one["problems"]) for one in whole["maj_at_k"]] == [(1, 7 / 8, 4), (2, 7 / 8, 4)]
    assert whole["maj_at_n"] == 7 / 8 and whole["maj_low"] < 7 / 8 < whole["maj_high"]  # the tie on problem d is split


def test_choices_by_likelihood_are_one_row_at_budget_0_and_the_sweep():
    scores = tuple(
        Score(p, 0, 0, right, "A", "likeliest", 0, 0, closed=False, cut=False, looping=False)
        for p, right in (("a", True), ("b", False))
    )
    sweep = SuiteSweep("run", 5, "mmlu", (0,), scores, "hash", method="likelihood", chance=0.25)
    at, whole = sweep_rows(
        sweep, replace(sweep, model="unpruned"), replace(sweep, model="pruned"), VerdictSection(suite="x")
    )
    assert (at["budget"], at["accuracy"], at["tokens_spent"], at["closed"]) == (0, 0.5, 0, 0)
    assert (at["method"], at["chance"], whole["method"], whole["chance"]) == ("likelihood", 0.25) * 2
    assert whole["level"] is whole["base"] is None
    assert whole["gain_per_doubling"] is whole["termination"] is whole["verdict"] is None
    assert json.loads(json.dumps([at, whole], allow_nan=False)) == [at, whole]


def test_missing_thoughts_counted_as_wrong_bound_the_accuracy():
    sweep = _sweep(right=16)
    kept = tuple(score for score in sweep.scores if (score.problem, score.sample) != ("a", 1))
    first, second, _ = sweep_rows(replace(sweep, scores=kept, missing=1), None, None, SECTION)
    assert (first["accuracy_if_missing_wrong"], second["accuracy_if_missing_wrong"]) == (0, 6 / 8)
    assert second["accuracy"] == 7 / 8


def test_votes_are_for_the_candidate_where_one_is_named():
    wrong = ["0.5", "1/2", "2"]
    scores = [replace(_score("a", i, 8, False), extracted=text) for i, text in enumerate(wrong)]
    scores += [replace(_score("a", i, 8, True), extracted="3") for i in (3, 4)]
    sweep = SuiteSweep("run", 5, "chain", (8,), tuple(scores), "hash")
    named = replace(sweep, scores=tuple(replace(s, voted="1/2" if s.extracted == "0.5" else "") for s in scores))
    assert [sweep_rows(each, None, None, SECTION)[-1]["maj_at_n"] for each in (sweep, named)] == [1.0, 0.5]


def test_verdict_and_recovered_fraction_need_both_references():
    whole = sweep_rows(_sweep(), _sweep("unpruned"), _sweep("pruned", right=99), SECTION)[-1]
    assert whole["verdict"] in ("RETURNED", "UNDECIDED") and whole["verdict_line"].startswith(whole["verdict"])
    assert whole["paired"] == 4 and [one["budget"] for one in whole["recovered_fraction"]] == [8, 16]
    assert whole["recovered_fraction"][0]["fraction"] == pytest.approx(1)
    assert sweep_rows(_sweep(), _sweep("unpruned"), None, SECTION)[-1]["recovered_fraction"] is None


JUDGED = [
    *("verdict", "verdict_line", "verdict_reasons", "verdict_at_least", "verdict_at_most"),
    *("problems_needed", "verdict_error"),
    *("level_share", "gain_share", "recovered_fraction"),
    *("gain_low", "gain_high", "total_low", "total_high"),
]


def test_a_verdict_on_the_way_of_a_run_changes_no_interval_but_those_of_the_verdict():
    sweeps = [_sweep(), _sweep("unpruned"), _sweep("pruned", right=99)]
    alone, on_the_way = sweep_rows(*sweeps, SECTION), sweep_rows(*sweeps, SECTION, 0.001)
    assert alone[:-1] == on_the_way[:-1]
    assert (alone[-1]["verdict_error"], on_the_way[-1]["verdict_error"]) == (0.05, 0.001)
    assert {key for key in alone[-1] if alone[-1][key] != on_the_way[-1][key]} <= set(JUDGED)
    assert on_the_way[-1]["gain_low"] < alone[-1]["gain_low"]


@pytest.mark.parametrize("error", [0.05, 0.025, 0.001])
@pytest.mark.parametrize("problems", ["abcd", "abc"])
def test_the_gain_of_a_row_is_the_gain_of_its_verdict(error, problems):
    """`problems`: those of the run; where the references lack one, the gain is that of the paired ones."""
    sweeps = [_sweep(right=16), _sweep("unpruned", problems="abc"), _sweep("pruned", right=99)]
    sweeps[0] = _sweep(right=16, problems=problems)
    row = sweep_rows(*sweeps, SECTION, error)[-1]
    means = [problem_means(sweep, list("abc")) for sweep in sweeps]
    verdict = decide(Paired(*means, (8, 16)), SECTION, error)
    assert (row["gain_per_doubling"], row["gain_low"], row["gain_high"]) == (
        verdict.gain.estimate, verdict.gain.low, verdict.gain.high)  # fmt: skip
    assert (
        f"gain {row['gain_per_doubling']:+.2f} [{row['gain_low']:+.2f}, {row['gain_high']:+.2f}]" in row["verdict_line"]
    )


def test_a_suite_that_is_not_judged_has_95_percent_intervals():
    sweeps = [_sweep(right=16), _sweep("unpruned"), _sweep("pruned", right=99)]
    row = sweep_rows(*sweeps, VerdictSection(suite="other"), 0.001)[-1]
    alone = sweep_rows(sweeps[0], None, None, SECTION)[-1]
    assert (row["gain_low"], row["gain_high"]) == (alone["gain_low"], alone["gain_high"])


def test_models_are_paired_on_the_problems_they_share():
    sweeps = [_sweep(problems="abc"), _sweep("unpruned", problems="dcba"), _sweep("pruned", problems="cbx")]
    assert paired_ids(sweeps) == ["b", "c"]
    assert sweep_rows(*sweeps, SECTION)[-1]["paired"] == 2
    assert sweep_rows(sweeps[0], sweeps[1], _sweep("pruned", problems="xyz"), SECTION)[-1]["paired"] == 0


def test_another_suite_than_the_deciding_one_has_no_verdict():
    whole = sweep_rows(_sweep(), _sweep("unpruned"), _sweep("pruned"), VerdictSection(suite="other"))[-1]
    assert whole["verdict"] is None and whole["recovered_fraction"] is not None


def test_rows_are_json_without_nan_even_for_one_budget():
    one = [_sweep(model, budgets=(8,), samples=1, problems="ab") for model in ("run", "unpruned", "pruned")]
    found = sweep_rows(*one, SECTION)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found[-1]["gain_per_doubling"] is None and found[-1]["total_gain"] is None and found[-1]["pass_at_k"] is None


def test_references_of_other_budgets_are_refused():
    with pytest.raises(ValueError, match="cannot compare"):
        sweep_rows(_sweep(), _sweep("unpruned", budgets=(8, 32)), None, SECTION)


def test_problems_count_by_the_thoughts_they_have():
    # both thoughts of a are missing, and the second one of d, whose first is right
    kept = [s for s in _sweep().scores if s.problem != "a" and (s.problem, s.sample) != ("d", 1)]
    sweep = SuiteSweep("run", 5, "chain", (8, 16), tuple(kept), "hash", missing=3)
    first, _, whole = sweep_rows(sweep, None, None, SECTION)
    assert [(row["problems"], row["samples"], row["missing"]) for row in (first, whole)] == [(3, 2, 3)] * 2
    assert first["accuracy"] == 1 and (first["low"], first["high"]) == accuracy_interval(np.ones(3))
    assert [(one["k"], one["problems"]) for one in whole["pass_at_k"]] == [(1, 3), (2, 2)]
    assert (whole["maj_at_n"], whole["maj_problems"]) == (1, 2)


def test_thinking_off_is_an_ordinary_row_and_no_part_of_level_and_gain():
    budgets = (0, 8, 16)
    sweeps = [_sweep(m, right, budgets=budgets) for m, right in (("run", 8), ("unpruned", 8), ("pruned", 99))]
    control, first, _, whole = sweep_rows(*sweeps, SECTION)
    assert (control["budget"], control["accuracy"]) == (0, 0) and sorted(control) == sorted(first)
    plain = sweep_rows(*[_sweep("run"), _sweep("unpruned"), _sweep("pruned", 99)], SECTION)[-1]
    same = (
        "base",
        "level",
        "gain_per_doubling",
        "gain_low",
        "gain_high",
        "total_low",
        "verdict_line",
        "verdict_reasons",
    )
    assert {key: whole[key] for key in same} == {key: plain[key] for key in same}
    assert [one["budget"] for one in whole["recovered_fraction"]] == [0, 8, 16]
    alone = sweep_rows(_sweep(budgets=(0,)), _sweep("unpruned", budgets=(0,)), _sweep("pruned", budgets=(0,)), SECTION)[
        -1
    ]
    assert alone["level"] is alone["gain_per_doubling"] is alone["total_gain"] is None
    assert alone["verdict"] == "UNDECIDED"


def test_the_recovered_fraction_at_the_largest_budget_is_the_share_of_the_verdict():
    row = sweep_rows(_sweep(right=16), _sweep("unpruned"), _sweep("pruned", right=99), SECTION, 0.001)[-1]
    last = row["recovered_fraction"][-1]
    assert {key: last[key] for key in ("fraction", "low", "high")} == row["level_share"]


def test_tokens_are_compared_as_they_were_spent():
    row = sweep_rows(_sweep(right=16), _sweep("unpruned"), _sweep("pruned", right=99), SECTION)[-1]
    # the unpruned model has 7/8 with 8 tokens already, the run with the 10 that it spends of 16
    assert [(each["budget"], each["factor"]) for each in row["token_factor"]] == [
        (8, pytest.approx(10 / 8)), (16, pytest.approx(1))]  # fmt: skip


def test_groups_widen_the_intervals_and_move_no_estimate():
    sweeps = [_sweep(right=16), _sweep("unpruned"), _sweep("pruned", right=99)]
    groups = {"a": "x", "b": "x", "c": "y", "d": "y"}
    plain = sweep_rows(*sweeps, SECTION)
    grouped = sweep_rows(replace(sweeps[0], groups=groups), *sweeps[1:], SECTION)
    assert [row["groups"] for row in (plain[0], grouped[0], grouped[-1])] == [None, 2, 2]
    for before, after in zip(plain[:-1], grouped[:-1], strict=True):
        assert after["accuracy"] == pytest.approx(before["accuracy"])
        assert after["high"] - after["low"] > before["high"] - before["low"]
    assert grouped[-1]["total_gain"] == pytest.approx(plain[-1]["total_gain"])
    assert grouped[-1]["gain_low"] < plain[-1]["gain_low"] and grouped[-1]["maj_low"] < plain[-1]["maj_low"]


def test_rows_of_earlier_versions_called_the_base_level():
    *rows, summary = sweep_rows(_sweep(right=16), None, None, SECTION)
    older = {key: value for key, value in summary.items() if key != "base"} | {"level": 0.0}
    read = at_step([*rows, older], "run", "chain", 5)[1]
    assert (read["base"], read["level"]) == (0.0, 7 / 8)


def test_missing_scores_are_refused():
    sweep = _sweep()
    with pytest.raises(ValueError, match="missing"):
        sweep_rows(SuiteSweep("run", 5, "chain", sweep.budgets, sweep.scores[1:], "hash"), None, None, SECTION)


def test_rows_are_found_by_model_suite_and_step():
    first = sweep_rows(_sweep(), None, None, SECTION)
    later = [row | {"step": 9} for row in first]
    found = [*first, *later, later[0] | {"accuracy": 0.25}]
    assert suites(found) == ["chain"] and verdict_suite(found) == "chain" and steps(found, "run", "chain") == [5, 9]
    assert [row["accuracy"] for row in newest(found, "run", "chain")[0]] == [0.25, 7 / 8]
    assert at_step(found, "run", "chain", 5)[1] == first[-1] and newest(found, "pruned", "chain") == ([], None)


def test_totals_count_a_repeated_step_once():
    assert totals([{"step": 1, "tokens": 5}, {"step": 2, "tokens": 7}, {"step": 2, "tokens": 8, "seconds": None}]) == {
        "tokens": 13.0
    }
