"""Runs side by side."""

import json

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


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere"], "nowhere: no such run folder"),
        (["empty"], "empty: unfinished"),
        (["begun"], "begun: unfinished"),
        (["done", "other"], "compare like with like"),
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
    with pytest.raises(UserError, match=says):
        main(arguments)
