"""Runs side by side."""

import json
import re

import pytest

from eval.compare import joint_curves, joint_figure, main, read_run
from eval.show.curves import AXES
from recipes.errors import UserError
from tests.eval.show.made_rows import made_rows


def _run(folder, **how):
    folder.mkdir()
    (folder / "sweeps.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made_rows(**how)))
    (folder / "metrics.jsonl").write_text('{"step": 1, "tokens": 5000, "seconds": 7}\n')
    return str(folder)


def test_the_table_and_the_figure(tmp_path, capsys):
    main([_run(tmp_path / "one"), _run(tmp_path / "two", run_steps=(0, 5)), f"out={tmp_path / 'out'}"])
    printed = capsys.readouterr().out
    lines = {line.split()[0]: line for line in printed.splitlines()}
    assert "0.70 [.64, .76]" in lines["one"] and "PARTIAL" in lines["one"] and "5,000" in lines["one"]
    assert "0.45 [.39, .51]" in lines["two"] and "protocols" not in printed
    assert (tmp_path / "out/compare.png").stat().st_size > 20_000
    assert (tmp_path / "out/compare.txt").read_text().splitlines()[0] in printed


def test_the_table_says_what_is_confirmed_and_what_is_not(tmp_path, capsys):
    best = {"recipe": {"keep_best": "sweep/chain/gain"}, "best": {"step": 10}}
    facts = {"step": 10, "problems": 40, "verdict": "RETURNED", "level": 0.7, "level_low": 0.6, "level_high": 0.8}
    for name, record in (("one", best), ("two", best | {"confirmed": facts}), ("three", {})):
        _run(tmp_path / name)
        (tmp_path / name / "run.json").write_text(json.dumps(record))
    main([*(str(tmp_path / name) for name in ("one", "two", "three")), f"out={tmp_path}"])
    lines = {line.split()[0]: re.split(" {2,}", line) for line in capsys.readouterr().out.splitlines()[1:5]}
    place = lines["run"].index("confirmed")
    assert [lines[name][place] for name in ("one", "two", "three")] == [
        "best of 2, uncorrected", "RETURNED, 0.70 [.60, .80] (step 10, 40 problems)", "-"]  # fmt: skip


@pytest.mark.parametrize(
    ("axis", "label"), [("budget", "thinking budget (tokens)"), ("spent", "thinking tokens spent (mean)")]
)
def test_the_axis_is_chosen(tmp_path, axis, label):
    main([_run(tmp_path / "one", budgets=(0, 8, 16)), f"out={tmp_path / 'out'}", f"axis={axis}"])
    assert (tmp_path / "out/compare.png").stat().st_size > 20_000
    assert joint_figure([read_run(tmp_path / "one")], AXES[axis]).axes[0].get_xlabel() == label
    assert (tmp_path / "out/compare.txt").read_text().splitlines()[1].split()[:5] == ["run", "step", "off", "8", "16"]


def test_differing_protocols_are_named(tmp_path, capsys):
    main([_run(tmp_path / "one"), _run(tmp_path / "two", protocol="another"), f"out={tmp_path}"])
    assert "different protocols: hash (one, pruned of one, unpruned of one) · another (two" in capsys.readouterr().out


def test_shared_references_are_drawn_once(tmp_path):
    runs = [read_run(tmp_path / name) for name in ("one", "two") if _run(tmp_path / name)]
    assert [curve.label for curve in joint_curves(runs)] == ["one", "two", "pruned", "unpruned"]


def _samples(folder, step, right, group=lambda p: {}):
    """The thoughts of a sweep of 60 problems at two budgets; `right`: how many are right at each; `group`: what the row
    of a problem says of it."""
    (folder / "samples/chain").mkdir(parents=True)
    header = {
        "model": "run",
        "step": step,
        "suite": "chain",
        "budgets": [8, 16],
        "protocol": "hash",
        "method": "generate",
    }
    rows = [
        {
            "problem": f"p{p}",
            "sample": 0,
            "stop": "close",
            "extensions": 0,
            "thinking": "so",
            "answers": [
                {
                    "budgets": [budget],
                    "thinking_tokens": budget,
                    "answer_tokens": 1,
                    "finished": True,
                    "looping": False,
                    "text": "7",
                    "correct": p < count,
                    "extracted": "7",
                    "reason": "equal",
                }
                for budget, count in zip((8, 16), right, strict=True)
            ],
            "failure": "",
            **group(p),
        }
        for p in range(60)
    ]
    file = folder / "samples/chain" / f"run-{step:06d}.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in [header, *rows]))


def test_runs_are_compared_by_problem_with_holms_correction(tmp_path, capsys):
    for name, right in (("one", (20, 50)), ("two", (20, 20))):
        _run(tmp_path / name, budgets=(8, 16))
        _samples(tmp_path / name, 10, right)
    main([str(tmp_path / "one"), str(tmp_path / "two"), f"out={tmp_path}"])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("one - two")]
    # half of the problems differ at 16 tokens, none at 8: a gain and a level of 0.5
    assert [re.split(" {2,}", line)[1] for line in lines] == [
        "gain per doubling", "level", "accuracy at 8", "accuracy at 16"]  # fmt: skip
    assert [("+0.500" in line, "+0.000" in line) for line in lines] == [(True, False)] * 2 + [
        (False, True),
        (True, False),
    ]
    assert "60 problems that all runs have" in (tmp_path / "compare.txt").read_text()


def test_pairs_are_clustered_by_the_groups_that_samples_carry(tmp_path, capsys):
    """The problems that differ are one group of six: six groups tell less than sixty problems."""
    spans = []
    for name, group in (("plain", lambda p: {}), ("grouped", lambda p: {"group": f"year {p // 10}"})):
        for run, right in (("one", (20, 30)), ("two", (20, 20))):
            (tmp_path / name).mkdir(exist_ok=True)
            _run(tmp_path / name / run, budgets=(8, 16))
            _samples(tmp_path / name / run, 10, right, group if run == "one" else (lambda p: {}))
        main([str(tmp_path / name / "one"), str(tmp_path / name / "two"), f"out={tmp_path / name}"])
        printed = capsys.readouterr().out
        (level,) = [line for line in printed.splitlines() if "  level  " in line]
        spans.append([float(number) for number in re.findall(r"[+-]\d\.\d+", level)])
    (plain, *inside), (grouped, *outside) = spans
    assert plain == grouped == 0.167 and outside[0] < inside[0] < inside[1] < outside[1]
    assert "60 problems that all runs have in 6 groups, by which intervals are clustered" in printed


def test_runs_that_group_one_problem_differently_are_not_paired(tmp_path, capsys):
    for run in ("one", "two"):
        _run(tmp_path / run, budgets=(8, 16))
        _samples(tmp_path / run, 10, (20, 30), lambda p, run=run: {"group": f"{run} {p // 10}"})
    main([str(tmp_path / "one"), str(tmp_path / "two"), f"out={tmp_path}"])
    assert "no paired differences: runs put one problem into different groups" in capsys.readouterr().out


def test_runs_without_samples_say_why_they_are_not_paired(tmp_path, capsys):
    main([_run(tmp_path / "one"), _run(tmp_path / "two"), f"out={tmp_path}"])
    assert "no paired differences: no samples of one, two" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere"], "nowhere: no such run folder"),
        (["empty"], "empty: unfinished"),
        (["begun"], "begun: unfinished"),
        (["done", "other"], "compare like with like"),
        (["outside"], r"outside/sweeps.jsonl: the suite '../../x' must be a name, not a path"),
        (["done", "axis=time"], "axis=time: not something to draw along; allowed: budget, spent"),
        (["done", "ouy=x"], "ouy=x: not a run folder"),
        ([], "at least one run folder"),
    ],
)
def test_faults_name_the_folder(tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    _run(tmp_path / "begun", run_steps=(0,))
    _run(tmp_path / "done")
    _run(tmp_path / "other", suite="else")
    _run(tmp_path / "outside", suite="../../x")
    with pytest.raises(UserError, match=says):
        main(arguments)
