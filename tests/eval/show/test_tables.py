"""The table after a sweep."""

import pytest

from eval.show.tables import THOUGHT_HEAD, align, budget_name, cell, gain_cell, share, sweep_table


def made_style(repetition, marks=2.25):
    """The style of a sweep as `eval.numbers.style.style_row` gives it."""
    kinds = ("verification", "backtracking", "subgoals")
    return {
        "thoughts": 80,
        "words": 412.4,
        "ngram_repetition": repetition,
        "ngram_repetition_thoughts": 80,
        "self_bleu": 0.4,
        "self_bleu_thoughts": 79,
        "reflection": {kind: {"per_1000_words": marks, "share": 0.5} for kind in kinds},
    }


def made_rows(suite="chain", protocol="hash", run_steps=(0, 10), budgets=(8, 16, 32, 64, 128)):
    """Rows as sweeps.jsonl has them: unpruned and pruned at step 0 and the run at `run_steps`."""
    found = []
    for model, step in [("unpruned", 0), ("pruned", 0), *(("run", step) for step in run_steps)]:
        top = {"unpruned": 0.95, "pruned": 0.2, "run": 0.2 + 0.05 * step}[model]
        common = {
            "step": step,
            "model": model,
            "suite": suite,
            "problems": 40,
            "samples": 2,
            "protocol": protocol,
            "method": "generate",
            "chance": None,
        }
        for k, budget in enumerate(budgets):
            accuracy = top * (k + 1) / len(budgets)
            found.append(
                common
                | {
                    "budget": budget,
                    "accuracy": accuracy,
                    "low": max(0, accuracy - 0.06),
                    "high": min(1, accuracy + 0.06),
                    "tokens_spent": budget * 0.8,
                    "control": 1.0,
                    "closed": 0.7,
                    "cut": 0.1,
                    "looping": 0.05,
                }
            )
        found.append(
            common
            | {
                "budget": None,
                "level": top / 5,
                "gain_per_doubling": top / 5,
                "gain_low": top / 5 - 0.02,
                "gain_high": top / 5 + 0.02,
                "total_gain": top * 0.8,
                "termination": 0.7,
                "maj_at_n": 0.8,
                "pass_at_k": [{"k": 1, "value": 0.7}, {"k": 2, "value": 0.8}],
                "verdict": "PARTIAL" if model == "run" else None,
                "verdict_line": "PARTIAL: gain <b>" if model == "run" else None,
                "verdict_reasons": ["because"] if model == "run" else None,
                "problems_needed": None,
                "verdict_error": 0.025 if model == "run" else None,
                "paired": 40 if model == "run" else None,
                "recovered_fraction": [
                    {"budget": b, "fraction": None if b == 8 else 0.5, "low": 0.4, "high": 0.6} for b in budgets
                ],
                "style": made_style(0.31 if model == "pruned" else 0.02),
            }
        )
    return found


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
    assert lines[-2] == "answers cut .10, within budget 1.0, 102 thinking tokens spent"
    assert lines[-1] == "PARTIAL: gain <b>" and text.isprintable() is False and "\x1b" not in text


def _lines_of_thoughts(rows):
    lines = sweep_table(rows, "chain").splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("thoughts at 128"))
    last = lines.index("answers cut .10, within budget 1.0, 102 thinking tokens spent")
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


def made_judged(missing):
    """What a judge counted, as `eval.numbers.style.judged_row` gives it."""
    marks = {kind: {"per_1000_words": 12.5, "share": 0.4} for kind in ("verification", "backtracking", "subgoals")}
    return {"judge": "wise", "thoughts": 98, "missing": missing, "failure": "HTTP 503", "cut": 0, "reflection": marks}


def test_a_judge_has_a_line_of_its_own_and_says_what_it_missed():
    rows = made_rows()
    rows[-1]["style"]["judged"] = made_judged(missing=2)
    lines = _lines_of_thoughts(rows)
    assert lines[-2] == ["now,", "judged", "12", "12", "12"]
    assert " ".join(lines[-1]) == "now: judge wise: 2 of 100 thoughts missing, HTTP 503"
    rows[-1]["style"]["judged"] = made_judged(missing=0)
    assert _lines_of_thoughts(rows)[-1] == ["now,", "judged", "12", "12", "12"]


def test_missing_thoughts_are_said_in_the_head():
    rows = [row | {"missing": 3} for row in made_rows()]
    assert "40 problems x 2 (3 thoughts missing)" in sweep_table(rows, "chain")


def by_likelihood(suite="mmlu"):
    """The rows of a suite of choices that was asked by likelihood."""
    asked = {"method": "likelihood", "chance": 0.25}
    return [row | asked for row in made_rows(suite, budgets=(0,))]


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


def test_rows_from_before_control_was_counted():
    rows = [
        {key: value for key, value in row.items() if key not in ("control", "method", "chance")}
        for row in made_rows("knowledge") + made_rows()
    ]
    assert "within budget" not in sweep_table(rows, "chain") and "knowledge at 128: " in sweep_table(rows, "chain")


def test_many_budgets_and_missing_models():
    many = [row for row in made_rows(budgets=(1, 2, 4, 8, 16, 32, 64, 128)) if row["model"] != "pruned"]
    text = sweep_table(many, "chain")
    assert max(map(len, text.splitlines())) <= 100 and "\npruned" not in text
    assert sweep_table(many, "other") == "other: not measured"
    assert sweep_table([], "chain") == "chain: not measured"
