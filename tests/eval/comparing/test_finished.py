"""A run as it stands in its folder, at the sweep that is asked for."""

import json

import pytest

from eval.comparing.finished import at, chosen, read_run
from recipes.errors import UserError
from tests.eval.comparing.made_runs import made_run, read_made


def test_the_last_sweep_and_what_it_took(tmp_path):
    run = read_made(tmp_path / "one", run_steps=(0, 5, 10))
    assert (run.name, run.suite, run.summary["step"], run.own_steps) == ("one", "chain", 10, [0, 5, 10])
    assert run.budgets == (8, 16, 32, 64, 128) and run.samples == tmp_path / "one/samples/chain/run-000010.jsonl"
    assert run.totals == {"tokens": 5000, "seconds": 7, "sweep_seconds": 3}


def test_another_sweep_has_its_own_rows_samples_and_costs(tmp_path):
    folder = made_run(tmp_path / "one", run_steps=(0, 5, 10))
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "tokens": 300, "seconds": 2}\n')
    assert read_run(folder).totals["tokens"] == 5300
    early = at(read_run(folder), 5)
    # made rows: the level is 0.2 + 0.05 per step
    assert early.summary["level"] == 0.45 and early.final[-1]["accuracy"] == 0.45
    assert early.samples.name == "run-000005.jsonl" and early.totals["tokens"] == 5000


def test_a_step_that_was_not_swept_is_refused_with_those_that_were(tmp_path):
    with pytest.raises(UserError, match="step=7: one has no sweep there; it was swept at 0, 5, 10"):
        chosen([read_made(tmp_path / "one", run_steps=(0, 5, 10))], "7")


@pytest.mark.parametrize("word", ["first", "", "-1", "1.5", "５"])
def test_other_words_are_refused(tmp_path, word):
    with pytest.raises(UserError, match="must be last, best, or the number of a step"):
        chosen([read_made(tmp_path / "one")], word)


def _with_levels(folder, levels, keep_best=None):
    """A run whose accuracy at the largest budget is `levels` by step, and whose gain falls while it rises."""
    made_run(folder, {"recipe": {"keep_best": keep_best}}, run_steps=tuple(levels))
    rows = [json.loads(line) for line in (folder / "sweeps.jsonl").read_text().splitlines()]
    for row in rows:
        if row["model"] == "run" and row["budget"] == 128:
            row["accuracy"] = levels[row["step"]]
        if row["model"] == "run" and row["budget"] is None:
            row["gain_per_doubling"] = 1 - levels[row["step"]]
    (folder / "sweeps.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_run(folder)


def test_the_best_sweep_is_by_the_level_and_says_that_it_is_uncorrected(tmp_path):
    runs = [_with_levels(tmp_path / "a", {5: 0.9, 10: 0.4}), _with_levels(tmp_path / "b", {5: 0.2, 10: 0.3})]
    best, note = chosen(runs, "best")
    assert [run.summary["step"] for run in best] == [5, 10]
    assert note.startswith("Each run at its best sweep by sweep/chain/level, uncorrected")


def test_the_best_sweep_is_by_the_metric_that_all_recipes_name(tmp_path):
    gain = "sweep/chain/gain"
    runs = [
        _with_levels(tmp_path / "a", {5: 0.9, 10: 0.4}, gain),
        _with_levels(tmp_path / "b", {5: 0.2, 10: 0.3}, gain),
    ]
    best, note = chosen(runs, "best")
    assert [run.summary["step"] for run in best] == [10, 5] and gain in note


def test_the_sweep_before_training_is_no_best_one(tmp_path):
    (best,), _ = chosen([_with_levels(tmp_path / "a", {0: 0.9, 5: 0.4, 10: 0.3})], "best")
    assert best.summary["step"] == 5


def test_a_record_that_was_changed_by_hand_is_named(tmp_path):
    folder = made_run(tmp_path / "one")
    (folder / "run.json").write_text("{")
    with pytest.raises(UserError, match="one: sweeps.jsonl or run.json was changed by hand"):
        read_run(folder)
