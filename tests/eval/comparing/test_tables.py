"""The tables of a comparison, and the flat rows of its CSV."""

import pytest

from eval.comparing.comparison import document
from eval.comparing.pairing import Pairs, paired
from eval.comparing.tables import flat_models, flat_pairs, pair_table, sweeps, tables, trained
from eval.numbers.pairs import Difference
from eval.show.formats import as_text
from tests.eval.comparing.made_runs import PLAN, RECIPE, made_samples, read_made

RECORD = {"command": ["recipe=mine.yaml"], "recipe": RECIPE, "prune_plan": PLAN}
NONE = Pairs(0, None, (), "no samples of one")


def _lines(table):
    return {line[0]: dict(zip(table.heads, line, strict=True)) for line in table.lines}


def test_what_was_trained(tmp_path):
    line = _lines(trained(document([read_made(tmp_path / "one", RECORD)], NONE)))["one"]
    assert line == {
        "run": "one",
        "recipe": "mine",
        "pruning": "tail, 2 of 8 layers",
        "adapter": "lora r=8",
        "step": "10",
        "tokens": "5,000",
        "seconds": "7",
        "with sweeps": "10",
    }


def test_unpruned_and_pruned_have_rows_beside_the_runs(tmp_path):
    table = sweeps(document([read_made(tmp_path / name) for name in ("one", "two")], NONE))
    lines = _lines(table)
    assert list(lines) == ["unpruned", "pruned", "one", "two"]
    assert [lines[name]["128"] for name in lines] == ["0.95 [.89, 1.0]", "0.20 [.14, .26]", *["0.70 [.64, .76]"] * 2]
    assert (lines["one"]["recovered at 128"], lines["one"]["verdict"]) == ("0.50 [0.40, 0.60]", "PARTIAL")
    assert lines["one"]["gain per doubling"] == "+0.14 [+.12, +.16]" and lines["pruned"]["verdict"] == "-"
    assert "97.5 % interval, simultaneous over all sweeps of the run" in table.notes[0]


def test_keys_that_differ_have_a_column_each(tmp_path):
    other = RECIPE | {"adapter": {"method": "none"}, "keep_best": "sweep/chain/gain"}
    records = {"one": RECORD, "two": RECORD | {"recipe": other}, "old": None}
    content = document([read_made(tmp_path / name, record) for name, record in records.items()], NONE)
    (table,) = [each for each in tables(content) if each.title == "recipe keys that differ"]
    assert table.heads == ("run", "keep_best", "adapter.method", "adapter.r")
    assert table.lines == (("one", "null", "lora", "8"), ("two", "sweep/chain/gain", "none", "-"))
    assert table.notes == ("without a recipe in run.json: old",)


def test_runs_of_one_recipe_have_no_such_table(tmp_path):
    content = document([read_made(tmp_path / name, RECORD) for name in ("one", "two")], NONE)
    assert [each.title[:8] for each in tables(content)] == ["what was", "chain: a", "no paire"]


def test_why_there_are_no_pairs(tmp_path):
    table = pair_table(document([read_made(tmp_path / name) for name in ("one", "two")], NONE))
    assert as_text(table).strip() == "no paired differences: no samples of one"


def test_a_pair_in_words(tmp_path):
    found = (
        Difference("one", "two", "gain per doubling", None, 0.1234, -0.0567, 0.3, 0.0123, 0.0246),
        Difference("one", "two", "accuracy", 2048, -0.5, -0.75, -0.25, 0.5, 1.0),
    )
    table = pair_table(document([read_made(tmp_path / name) for name in ("one", "two")], Pairs(60, 6, found)))
    assert table.title == "60 problems that all runs have in 6 groups, by which intervals are clustered"
    assert table.lines == (
        ("one - two", "gain per doubling", "+0.123 [-0.057, +0.300]", "0.012", "0.025"),
        ("one - two", "accuracy at 2,048", "-0.500 [-0.750, -0.250]", "0.5", "1"),
    )


def test_pairs_that_are_not_shown_are_counted(tmp_path):
    found = tuple(Difference("a", f"b{n}", "level", 8, 0, 0, 0, 1, 1) for n in range(50))
    table = pair_table(document([read_made(tmp_path / "one"), read_made(tmp_path / "two")], Pairs(9, None, found)))
    assert len(table.lines) == 45 and table.notes[1].startswith("5 more pairs are not shown: format=csv")


def test_csv_rows_are_flat_and_unrounded(tmp_path):
    runs = [
        read_made(tmp_path / "a", RECORD, budgets=(8, 16)),
        read_made(tmp_path / "b", RECORD | {"recipe": {"seed": 3}}, budgets=(8, 16)),
    ]
    for run, right in zip(runs, ((20, 31), (20, 20)), strict=True):
        made_samples(tmp_path / run.name, right)
    content = document(runs, paired(runs))
    rows = list(flat_models(content))
    assert [(row["model"], row["run"]) for row in rows] == [
        ("unpruned", "a; b"),
        ("pruned", "a; b"),
        ("run", "a"),
        ("run", "b"),
    ]
    assert not any(isinstance(value, list | dict) for row in rows for value in row.values())
    assert (rows[2]["accuracy_16"], rows[2]["low_16"]) == (0.7, 0.7 - 0.06) and rows[2]["recovered_high_16"] == 0.6
    assert (rows[2]["pass_at_2"], rows[2]["level_share"], rows[2]["gain_share_low"]) == (0.8, 0.67, 0.6)
    assert (rows[2]["recipe.adapter.r"], rows[3]["recipe.adapter.r"], rows[3]["recipe.seed"]) == (8, None, 3)
    pairs = list(flat_pairs(content))
    assert [row["what"] for row in pairs] == ["gain per doubling", "level", "accuracy", "accuracy"]
    assert pairs[1]["estimate"] == pytest.approx(11 / 60, abs=1e-15) and "p_holm" in pairs[1]
