"""All four words, on models whose truth is known."""

import json

import numpy as np
import pytest

from eval.numbers.decide import Statement, decide, verdict_line
from eval.numbers.sequences import Contrast
from eval.verdict import main
from recipes.errors import UserError
from recipes.sweep import VerdictSection

BUDGETS = (8, 16, 32, 64, 128)
UNPRUNED, PRUNED = (0.1, 0.3, 0.55, 0.85, 0.95), (0.1, 0.12, 0.15, 0.2, 0.22)
SECTION = VerdictSection(resamples=2000)


def _model(accuracies, problems, seed):
    """[P, K]: harder problems need more budget; half of a problem's luck is the problem's own."""
    own = np.random.default_rng(99).random((problems, 1))
    luck = np.where(
        np.random.default_rng(seed).random((problems, 1)) < 0.5,
        own,
        np.random.default_rng(seed + 50).random((problems, 1)),
    )
    return (luck < np.array(accuracies)).astype(float)


def _judge(accuracies, problems, section=SECTION, pruned=PRUNED):
    return decide(
        _model(accuracies, problems, 1), _model(UNPRUNED, problems, 2), _model(pruned, problems, 3), BUDGETS, section
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
    same = _model(UNPRUNED, 150, 2)
    verdict = decide(same, same, same, BUDGETS, SECTION)
    assert verdict.word == "RETURNED" and verdict.recovered is None
    assert "no loss" in verdict_line(verdict)


def test_the_pruned_model_itself_has_not_returned():
    pruned = _model(PRUNED, 300, 3)
    assert decide(pruned, _model(UNPRUNED, 300, 2), pruned, BUDGETS, SECTION).word == "NOT RETURNED"


def test_a_ruined_model_with_the_steeper_slope_has_not_returned():
    healthy, damaged, ruined = (0.8, 0.83, 0.86, 0.89, 0.92), (0.5, 0.52, 0.54, 0.56, 0.58), (0.0, 0.1, 0.2, 0.3, 0.4)
    verdict = decide(*(_model(a, 600, s) for s, a in enumerate((ruined, healthy, damaged))), BUDGETS, SECTION)
    assert verdict.gain > 2 * verdict.unpruned_gain
    assert verdict.word == "NOT RETURNED"


def test_the_level_alone_can_be_short():
    healthy, damaged, half = (0.85, 0.87, 0.9, 0.93, 0.95), (0.3, 0.32, 0.35, 0.38, 0.4), (0.45, 0.48, 0.5, 0.53, 0.56)
    verdict = decide(*(_model(a, 600, s) for s, a in enumerate((half, healthy, damaged))), BUDGETS, SECTION)
    assert verdict.word == "PARTIAL"
    assert any("part that must be back" in reason for reason in verdict.reasons)


def _decided(models, problems, repetitions):
    """Share of repetitions with so many problems, drawn from those of `models`, that have a verdict."""
    generator, decided = np.random.default_rng(8), 0
    for _ in range(repetitions):
        drawn = generator.integers(0, len(models[0]), problems)
        decided += decide(*(model[drawn] for model in models), BUDGETS, SECTION).word != "UNDECIDED"
    return decided / repetitions


FEW = [(UNPRUNED, 12), ((0.1, 0.2, 0.35, 0.55, 0.7), 24), ((0.1, 0.13, 0.16, 0.22, 0.24), 16)]


@pytest.mark.parametrize(("accuracies", "problems"), FEW)
def test_few_problems_are_undecided_and_say_how_many_would_decide(accuracies, problems):
    models = [_model(a, problems, s) for s, a in enumerate((accuracies, UNPRUNED, PRUNED))]
    verdict = decide(*models, BUDGETS, SECTION)
    assert verdict.word == "UNDECIDED" and problems < verdict.problems_needed < 2000
    assert f"about {verdict.problems_needed:,} would decide" in verdict_line(verdict)
    assert _decided(models, verdict.problems_needed, 60) >= 0.68  # 0.8 less two standard errors and a half


@pytest.mark.slow
@pytest.mark.parametrize("accuracies", [UNPRUNED, (0.1, 0.2, 0.35, 0.55, 0.7), (0.1, 0.18, 0.3, 0.42, 0.5)])
def test_the_number_needed_decides_in_four_of_five_repetitions(accuracies):
    """Were the estimates the truth; over pilots of 24 problems that are undecided."""
    shares = []
    for pilot in range(30):
        models = [_model(a, 600, s)[pilot * 20 : pilot * 20 + 24] for s, a in enumerate((accuracies, UNPRUNED, PRUNED))]
        verdict = decide(*models, BUDGETS, SECTION)
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
    run = _model(UNPRUNED, 200, 1)
    flat = np.tile([1.0, 1.0, 1.0, 1.0, 1.0], (200, 1))
    verdict = decide(flat, flat, flat, BUDGETS, SECTION)
    assert verdict.word == "UNDECIDED" and verdict.problems_needed is None
    assert any("unpruned model's own gain" in reason for reason in verdict.reasons)
    assert decide(run, run, run, BUDGETS, SECTION).word == "RETURNED"


def test_thinking_off_has_no_part_in_the_verdict():
    models = [_model(a, 300, s) for s, a in enumerate((UNPRUNED, UNPRUNED, PRUNED))]
    with_control = [np.column_stack([np.arange(300) % 2, model]) for model in models]
    found, plain = decide(*with_control, (0, *BUDGETS), SECTION), decide(*models, BUDGETS, SECTION)
    assert verdict_line(found) == verdict_line(plain) and found.reasons == plain.reasons
    few = decide(*(model[:, :2] for model in with_control), (0, 8), SECTION)
    assert few.word == "UNDECIDED" and "two budgets above 0" in verdict_line(few)


@pytest.mark.parametrize("shape", [(50, 1), (1, 5)])
def test_one_budget_or_one_problem_allows_no_verdict(shape):
    ones = np.ones(shape)
    verdict = decide(ones, ones, ones, BUDGETS[: shape[1]], SECTION)
    assert verdict.word == "UNDECIDED" and verdict.gain is None and verdict.problems_needed is None
    assert "at least two" in verdict_line(verdict)


def test_the_same_sweep_has_the_same_verdict():
    assert _judge(UNPRUNED, 100) == _judge(UNPRUNED, 100)


def test_the_line():
    line = verdict_line(_judge(UNPRUNED, 600))
    assert (
        line.startswith("RETURNED: gain +0.2")
        and "per doubling" in line
        and "of the lost accuracy at 128 tokens is back" in line
    )


def _write(path, models, problems=120):
    rows = [
        {"model": name, "problem": f"p{p}", "sample": 0, "budget": b, "correct": bool(grade)}
        for seed, (name, accuracies) in enumerate(models.items())
        for p, row in enumerate(_model(accuracies, problems, seed))
        for b, grade in zip(BUDGETS, row, strict=True)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_the_command_on_rows_of_any_tool(tmp_path, capsys):
    path = _write(tmp_path / "rows.jsonl", {"unpruned": UNPRUNED, "pruned": PRUNED, "run": UNPRUNED})
    main([path, "--json", "resamples=500"])
    report = json.loads(capsys.readouterr().out)
    assert report["verdict"]["word"] == "RETURNED" and report["paired"] == 120
    assert [row["budget"] for row in report["models"]["run"]["accuracy"]] == list(BUDGETS)
    main([path])
    assert "RETURNED: gain" in capsys.readouterr().out


def test_one_model_alone_has_gain_but_no_verdict(tmp_path, capsys):
    path = tmp_path / "rows.jsonl"
    path.write_text(
        "".join(
            json.dumps({"problem": p, "sample": 0, "budget": b, "correct": b > 8}) + "\n"
            for p in range(9)
            for b in (8, 16)
        )
    )
    main([str(path)])
    out = capsys.readouterr().out
    assert "gain +1.000 per doubling" in out and "no rows of unpruned, pruned" in out


GOOD = '{"problem": "a", "sample": 0, "budget": 8, "correct": true}\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GOOD + "{oops\n", ":2: not JSON"),
        (GOOD + '{"problem": "a", "sample": 0}\n', ":2: no budget, correct"),
        (GOOD + GOOD, ":2: problem 'a', sample 0, budget 8"),
        (GOOD + '{"problem": "a", "sample": 0, "budget": 16, "correct": 0.5}\n', ":2: correct=0.5"),
        (GOOD + '{"problem": "a", "sample": 0, "budget": 16, "correct": []}\n', ":2: correct=[]"),
        (GOOD + '{"problem": "a", "sample": 0, "budget": -1, "correct": true}\n', ":2: problem='a'"),
        (GOOD + '{"problem": "a", "sample": 0, "budget": 8, "correct": true, "model": "base"}\n', ":2: model='base'"),
        (GOOD + GOOD.replace("8", "16").replace('"a"', '"b"'), "'a' of model run: sample 0 has no row at budget 16"),
        ("", "no rows"),
        ("[1]\n", ":1: no problem"),
    ],
)
def test_bad_rows_name_file_and_line(tmp_path, text, says):
    path = tmp_path / "rows.jsonl"
    path.write_text(text)
    with pytest.raises(UserError, match="rows.jsonl") as fault:
        main([str(path)])
    assert says in str(fault.value)


def test_problems_may_lack_thoughts_and_count_by_those_they_have(tmp_path, capsys):
    rows = [("a", 0, True), ("a", 1, False), ("b", 0, True), ("c", 0, False), ("c", 1, False)]
    path = tmp_path / "rows.jsonl"
    keys = ("problem", "sample", "correct")
    grades = [dict(zip(keys, row, strict=True)) | {"budget": budget} for row in rows for budget in (0, 8, 16)]
    path.write_text("".join(json.dumps(grade) + "\n" for grade in grades))
    main([str(path), "--json"])
    run = json.loads(capsys.readouterr().out)["models"]["run"]
    assert (run["problems"], run["samples"], run["missing"], run["level"]) == (3, 2, 1, 0.5)
    assert [row["accuracy"] for row in run["accuracy"]] == [0.5] * 3  # the mean of 1/2, 1 and 0
    assert [(row["k"], row["value"], row["problems"]) for row in run["pass_at_k"]] == [(1, 0.5, 3), (2, 0.5, 2)]
    main([str(path)])
    assert "3 problems x 2, 1 thoughts missing, level 0.50, gain +0.000" in capsys.readouterr().out


def test_thinking_off_alone_has_neither_level_nor_gain(tmp_path, capsys):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"problem": p, "sample": 0, "budget": 0, "correct": True}) + "\n" for p in "ab"))
    main([str(path)])
    assert "level not defined, gain not defined" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [[], ["a.jsonl", "b.jsonl"], ["nowhere.jsonl"], ["a.jsonl", "margin=-1"], ["a.jsonl", "margni=1"]]
)
def test_bad_arguments(arguments):
    with pytest.raises(UserError):
        main(arguments)
