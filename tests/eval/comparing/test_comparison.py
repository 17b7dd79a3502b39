"""The document of a comparison."""

import json
from dataclasses import replace

import pytest

from eval.comparing.comparison import document, recipe_name, references
from eval.comparing.finished import at
from eval.comparing.pairing import Pairs, paired
from tests.eval.comparing.made_runs import PLAN, RECIPE, made_samples, read_made

RECORD = {"command": ["recipe=recipes/lora_recovery.yaml", "seed=2"], "recipe": RECIPE, "prune_plan": PLAN}
NONE = Pairs(0, None, (), "")


def test_what_was_trained_and_what_it_took(tmp_path):
    (run,) = document([read_made(tmp_path / "one", RECORD, run_steps=(0, 5, 10))], NONE)["runs"]
    expected = {
        "run": "one",
        "recipe": "lora_recovery",
        "pruning": "tail",
        "layers_removed": 2,
        "layers": 8,
        "adapter": "lora",
        "rank": 8,
        "step": 10,
        "last_sweep_step": 10,
        "tokens": 5000,
        "seconds": 7,
        "seconds_with_sweeps": 10,
        "verdict": "PARTIAL",
    }
    assert {key: run[key] for key in expected} == expected
    # made rows: 0.7 at step 10, a fifth of it at the first of five budgets
    assert [at["accuracy"] for at in run["accuracy"]] == pytest.approx([0.14, 0.28, 0.42, 0.56, 0.7])
    assert run["recovered_fraction"][-1] == {"budget": 128, "fraction": 0.5, "low": 0.4, "high": 0.6}


def test_a_run_without_a_record_has_none_in_its_place(tmp_path):
    content = document([read_made(tmp_path / "one")], NONE)
    assert content["without_recipe"] == ["one"] and content["differing_keys"] == {}
    assert [content["runs"][0][key] for key in ("recipe", "pruning", "adapter", "layers")] == [None] * 4


def test_an_earlier_sweep_says_of_how_many(tmp_path):
    (run,) = document([at(read_made(tmp_path / "one", run_steps=(0, 5, 10)), 5)], NONE)["runs"]
    assert (run["step"], run["last_sweep_step"], run["level"]) == (5, 10, 0.45)


def test_references_that_runs_share_are_there_once(tmp_path):
    runs = [read_made(tmp_path / name) for name in "ab"]
    assert [(each.model, each.runs) for each in references(runs)] == [("unpruned", ("a", "b")), ("pruned", ("a", "b"))]


def test_references_that_differ_are_told_apart(tmp_path):
    runs = [read_made(tmp_path / name) for name in "abc"]
    changed = tuple(r | {"looping": 0.9} if r["model"] == "pruned" else r for r in runs[1].rows)
    runs[1] = replace(runs[1], rows=changed)
    assert [(each.model, each.runs) for each in references(runs)] == [
        ("unpruned", ("a", "b", "c")),
        ("pruned", ("a", "c")),
        ("pruned", ("b",)),
    ]


def test_keys_that_differ_have_no_value_where_a_recipe_has_no_such_key(tmp_path):
    other = RECIPE | {"adapter": {"method": "none"}}
    runs = [read_made(tmp_path / "a", RECORD), read_made(tmp_path / "b", RECORD | {"recipe": other})]
    assert document(runs, NONE)["differing_keys"] == {
        "adapter.method": {"a": "lora", "b": "none"},
        "adapter.r": {"a": 8},
    }


def test_the_document_is_json_with_every_digit(tmp_path):
    runs = [read_made(tmp_path / name, budgets=(8, 16)) for name in "ab"]
    for run, right in zip(runs, ((20, 31), (20, 20)), strict=True):
        made_samples(tmp_path / run.name, right)
    content = document(runs, paired(runs))
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    (level,) = [each for each in content["pairs"]["differences"] if each["what"] == "level"]
    assert level["estimate"] == pytest.approx(11 / 60, abs=1e-15)


@pytest.mark.parametrize(
    ("command", "name"),
    [(["recipe=my.yaml", "recipe=x/last.yaml"], "last"), (["seed=1"], None), ([], None)],
)
def test_the_name_of_the_recipe(command, name):
    assert recipe_name({"command": command}) == name and recipe_name({}) is None
