"""Runs paired by problem."""

import pytest
from statsmodels.stats.multitest import multipletests

from eval.comparing.pairing import paired
from tests.eval.comparing.made_runs import made_samples, read_made


def _runs(tmp_path, right, group=lambda name: lambda p: {}):
    runs = [read_made(tmp_path / name, budgets=(8, 16)) for name in right]
    for run, counts in zip(runs, right.values(), strict=True):
        made_samples(tmp_path / run.name, counts, group=group(run.name))
    return runs


def test_differences_by_hand(tmp_path):
    found = paired(_runs(tmp_path, {"one": (20, 50), "two": (20, 20)}))
    # of 60 problems none differs at 8 tokens and 30 do at 16: a level and, over one doubling, a gain of a half
    assert [(each.what, each.budget, each.estimate) for each in found.differences] == [
        ("gain per doubling", None, 0.5),
        ("level", 16, 0.5),
        ("accuracy", 8, 0),
        ("accuracy", 16, 0.5),
    ]
    assert (found.problems, found.groups, found.why_none) == (60, None, "")


def test_p_values_are_corrected_as_statsmodels_does_over_all_pairs(tmp_path):
    found = paired(_runs(tmp_path, {"a": (20, 30), "b": (20, 24), "c": (20, 20)})).differences
    levels = [each for each in found if each.what == "level"]
    assert [(each.first, each.second) for each in levels] == [("a", "b"), ("a", "c"), ("b", "c")]
    _, adjusted, *_ = multipletests([each.p for each in levels], method="holm")
    assert [each.adjusted for each in levels] == pytest.approx(list(adjusted))


def test_against_one_run(tmp_path):
    runs = _runs(tmp_path, {"a": (20, 30), "b": (20, 24), "c": (20, 20)})
    levels = [each for each in paired(runs, "b").differences if each.what == "level"]
    assert [(each.first, each.second) for each in levels] == [("a", "b"), ("c", "b")]
    _, adjusted, *_ = multipletests([each.p for each in levels], method="holm")
    assert [each.adjusted for each in levels] == pytest.approx(list(adjusted))


def test_problems_that_one_run_lacks_are_left_out(tmp_path):
    runs = _runs(tmp_path, {"one": (20, 20), "two": (20, 20)})
    made_samples(tmp_path / "two", (5, 30), problems=40)
    found = paired(runs)
    assert found.problems == 40 and [each.estimate for each in found.differences if each.what == "level"] == [-0.25]


def test_groups_cluster_the_intervals(tmp_path):
    """The problems that differ are one group of six: six groups tell less than sixty problems."""
    spans = {}
    for name, group in (("plain", lambda p: {}), ("grouped", lambda p: {"group": f"year {p // 10}"})):
        right = {"one": (20, 30), "two": (20, 20)}
        found = paired(_runs(tmp_path / name, right, lambda run, group=group: group if run == "one" else lambda p: {}))
        (spans[name],) = [each for each in found.differences if each.what == "level"]
    assert [each.estimate for each in spans.values()] == pytest.approx([1 / 6, 1 / 6])
    assert spans["grouped"].low < spans["plain"].low < spans["plain"].high < spans["grouped"].high
    assert found.groups == 6


@pytest.mark.parametrize(
    ("group", "says"),
    [
        (lambda run: lambda p: {"group": f"{run} {p // 10}"}, "runs put one problem into different groups"),
        (lambda run: lambda p: {"group": "one"}, "1 groups of problems are in every run, and an interval needs two"),
    ],
)
def test_groups_that_pair_nothing(tmp_path, group, says):
    assert says in paired(_runs(tmp_path, {"one": (20, 30), "two": (20, 20)}, group)).why_none


def test_runs_without_samples_say_so(tmp_path):
    runs = [read_made(tmp_path / name) for name in ("one", "two")]
    assert paired(runs).why_none == "no samples of one, two" and paired(runs[:1]).why_none == "a single run"
