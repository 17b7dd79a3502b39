"""The table after a sweep."""

import pytest

from eval.show.tables import THOUGHT_HEAD, align, budget_name, cell, gain_cell, gain_note, share, sweep_table
from tests.eval.show.made_rows import by_likelihood, made_judged, made_rows, made_style


@pytest.mark.parametrize(("value", "text"), [(0.98, ".98"), (1.0, "1.0"), (0.0, ".00"), (0.999, "1.0"), (0.05, ".05")])
def test_share(value, text):
    assert share(value) == text


def test_cells():
    assert cell({"accuracy": 0.98, "low": 0.95, "high": 1.0}) == "0.98 [.95, 1.0]"
    assert gain_cell({"gain_per_doubling": 0.26, "gain_low": -0.04, "gain_high": 0.28}) == "+0.26 [-.04, +.28]"
    assert gain_cell(None) == gain_cell({"gain_per_doubling": None}) == "-"
    assert align([["a", "bb"], ["ccc", ""]]) == "a    bb\nccc"


def test_the_table_fits_and_shows_the_newest_step():
    text = sweep_table(made_rows("knowledge") + made_rows(), "chain")
    assert max(map(len, text.splitlines())) <= 100
    lines = text.splitlines()
    assert lines[0].startswith("step 10, chain") and [line.split()[0] for line in lines[2:5]] == [
        "unpruned",
        "pruned",
        "now",
    ]
    assert "0.95 [.89, 1.0]" in lines[2] and "0.70 [.64, .76]" in lines[4]
    assert any(line.startswith("knowledge at 128: unpruned 0.95") for line in lines)
    assert lines[-2] == "answers truncated .10, 0.5 tokens long; 102 thinking tokens spent"
    assert lines[-1] == "PARTIAL: gain <b>" and text.isprintable() is False and "\x1b" not in text


def _lines_of_thoughts(rows):
    lines = sweep_table(rows, "chain").splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("thoughts at 128"))
    last = lines.index("answers truncated .10, 0.5 tokens long; 102 thinking tokens spent")
    return [line.split() for line in lines[first:last]]


def test_how_thoughts_end_and_are_written_is_one_table():
    head, *lines = _lines_of_thoughts(made_rows())
    assert head[3:] == list(THOUGHT_HEAD)
    assert [line[:5] for line in lines] == [
        ["unpruned", ".70", ".05", ".02", ".40"],
        ["pruned", ".70", ".05", ".31", ".40"],
        ["now", ".70", ".05", ".02", ".40"],
    ]
    assert lines[0][5:] == ["2.2"] * 3


@pytest.mark.parametrize(
    ("style", "cells"),
    [
        (None, ["-"] * 5),
        (made_style(0.0, marks=0.0) | {"self_bleu": None}, [".00", "-", ".00", ".00", ".00"]),
        (made_style(None, marks=None), ["-", ".40", "-", "-", "-"]),
    ],
)
def test_what_is_not_defined_is_a_dash(style, cells):
    rows = [row | {"style": style} for row in made_rows() if row["model"] == "run"]
    assert _lines_of_thoughts(rows)[1] == ["now", ".70", ".05", *cells]


def test_rows_from_before_style_was_counted():
    rows = [{key: value for key, value in row.items() if key != "style"} for row in made_rows()]
    assert _lines_of_thoughts(rows)[1] == ["unpruned", ".70", ".05", *["-"] * 5]


def test_a_judge_has_a_line_of_its_own_and_says_what_it_missed():
    rows = made_rows()
    rows[-1]["style"]["judged"] = made_judged(missing=2)
    lines = _lines_of_thoughts(rows)
    assert lines[-2] == ["now,", "judged", "12", "12", "12"]
    assert " ".join(lines[-1]) == "now: judge wise: 2 of 100 thoughts missing, HTTP 503"
    rows[-1]["style"]["judged"] = made_judged(missing=0)
    assert _lines_of_thoughts(rows)[-1] == ["now,", "judged", "12", "12", "12"]


def test_the_bound_of_missing_thoughts_stands_beside_the_accuracy():
    row = made_rows()[0] | {"missing": 3, "accuracy_if_missing_wrong": 0.151}
    assert cell(row).endswith("] (3 missing: >= .15)")


def test_missing_thoughts_are_said_in_the_head():
    rows = [row | {"missing": 3} for row in made_rows()]
    assert "40 problems x 2 (3 thoughts missing)" in sweep_table(rows, "chain")


def test_suites_of_choices_say_how_they_were_asked_and_what_guessing_gives():
    generated = [row | {"chance": 0.2} for row in made_rows("gpqa")]
    rows = by_likelihood() + generated + made_rows("off", budgets=(0,)) + made_rows()
    lines = sweep_table(rows, "chain").splitlines()
    assert any(line.startswith("mmlu by likelihood (chance .25): unpruned 0.95") for line in lines)
    assert any(line.startswith("gpqa at 128 (chance .20): unpruned 0.95") for line in lines)
    assert any(line.startswith("off thinking off: unpruned 0.95") for line in lines)


def test_thinking_off_is_the_first_column():
    lines = sweep_table(made_rows(budgets=(0, 16, 32)), "chain").splitlines()
    assert lines[1].split() == ["off", "16", "32"] and lines[2].startswith("unpruned  0.32 [.26, .38]  0.63")


@pytest.mark.parametrize(("budget", "name"), [(0, "off"), (8, "8"), (8192, "8,192")])
def test_names_of_budgets(budget, name):
    assert budget_name(budget) == name


def test_rows_from_before_the_method_was_recorded():
    rows = [
        {key: value for key, value in row.items() if key not in ("method", "chance")}
        for row in made_rows("knowledge") + made_rows()
    ]
    assert "knowledge at 128: " in sweep_table(rows, "chain")


def test_many_budgets_and_missing_models():
    many = [row for row in made_rows(budgets=(1, 2, 4, 8, 16, 32, 64, 128)) if row["model"] != "pruned"]
    text = sweep_table(many, "chain")
    assert max(map(len, text.splitlines())) <= 100 and "\npruned" not in text
    assert sweep_table(many, "other") == "other: not measured"
    assert sweep_table([], "chain") == "chain: not measured"


@pytest.mark.parametrize(
    ("whole", "note"),
    [
        (None, ""),
        ({"verdict_error": None}, ""),
        ({}, ""),
        ({"verdict_error": 0.05}, ""),
        ({"verdict_error": 0.025}, "97.5 % interval, simultaneous over all sweeps of the run"),
    ],
)
def test_an_interval_that_is_not_of_this_sweep_alone_is_named(whole, note):
    assert gain_note(whole) == note


def test_the_table_names_the_interval_of_the_gain_under_it():
    lines = sweep_table(made_rows(), "chain").splitlines()
    gains = next(i for i, line in enumerate(lines) if line.startswith("gain per doubling: "))
    assert lines[gains + 1] == "(gain now: 97.5 % interval, simultaneous over all sweeps of the run)"
    alone = [row | {"verdict_error": 0.05} for row in made_rows()]
    assert "simultaneous" not in sweep_table(alone, "chain")
