"""Runs side by side: the command."""

import json
import re

import pytest

from eval.compare import main
from recipes.errors import UserError
from tests.eval.comparing.made_runs import RECIPE, made_run, made_samples
from tests.eval.logs.golden_files import GOLDEN


def _run(folder, record=None, **how):
    return str(made_run(folder, record, **how))


def _pair(tmp_path, right=((20, 50), (20, 20))):
    """Two runs of 60 problems at two budgets; `right`: how many are right at each."""
    folders = [_run(tmp_path / name, budgets=(8, 16)) for name in ("one", "two")]
    for name, counts in zip(("one", "two"), right, strict=True):
        made_samples(tmp_path / name, counts)
    return folders


def test_the_tables_and_the_figures(tmp_path, capsys):
    main([_run(tmp_path / "one"), _run(tmp_path / "two", run_steps=(0, 5)), f"out={tmp_path / 'out'}"])
    printed = capsys.readouterr().out
    assert re.search(r"^one .*5,000 ", printed, re.M) and re.search(r"^one .* PARTIAL$", printed, re.M)
    assert "0.70 [.64, .76]" in printed and "0.45 [.39, .51]" in printed
    assert max(map(len, printed.split("written:")[0].splitlines())) <= 100
    assert (tmp_path / "out/compare.txt").read_text().splitlines()[0] in printed
    for name in ("compare", "recovery", "steps", "pass_at_k", "spent"):
        assert (tmp_path / f"out/{name}.png").stat().st_size > 15_000


def test_the_table_says_what_is_confirmed_and_what_is_not(tmp_path, capsys):
    best = {"recipe": {"keep_best": "sweep/chain/gain"}, "best": {"step": 10}}
    facts = {"step": 10, "problems": 40, "verdict": "RETURNED", "level": 0.7, "level_low": 0.6, "level_high": 0.8}
    for name, record in (("one", best), ("two", best | {"confirmed": facts}), ("three", {})):
        _run(tmp_path / name, record)
    main([*(str(tmp_path / name) for name in ("one", "two", "three")), f"out={tmp_path / 'out'}", "figures=none"])
    printed = capsys.readouterr().out
    (legend,) = re.findall(r"^\[(\w)\] RETURNED, 0.70 \[.60, .80\] \(step 10, 40 problems\)$", printed, re.M)
    lines = [re.split(" {2,}", line) for line in printed.splitlines()]
    confirmed = {line[0]: line[-1] for line in lines if line[-2:-1] == ["PARTIAL"]}
    assert confirmed == {"one": "best of 2, uncorrected", "two": f"[{legend}]", "three": "-"}


def test_runs_are_compared_by_problem_with_holms_correction(tmp_path, capsys):
    main([*_pair(tmp_path), f"out={tmp_path}", "figures=none"])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("one - two")]
    # half of the problems differ at 16 tokens, none at 8: a gain and a level of 0.5
    assert [re.split(" {2,}", line)[1] for line in lines] == [
        "gain per doubling", "level", "accuracy at 8", "accuracy at 16"]  # fmt: skip
    assert ["+0.500" in line for line in lines] == [True, True, False, True] and "+0.000" in lines[2]
    assert "60 problems that all runs have" in (tmp_path / "compare.txt").read_text()


def test_against_names_a_run_of_the_list_or_adds_one(tmp_path, capsys):
    one, two = _pair(tmp_path)
    for arguments in ([one, two, f"against={one}/"], [two, f"against={one}"]):
        main([*arguments, f"out={tmp_path}", "format=json", "figures=none"])
        content = json.loads(capsys.readouterr().out)
        pairs = [(each["first"], each["second"]) for each in content["pairs"]["differences"]]
        assert set(pairs) == {("two", "one")} and content["pairs"]["against"] == "one"


def test_json_on_standard_output_is_the_file_and_nothing_else(tmp_path, capsys):
    main([*_pair(tmp_path), f"out={tmp_path / 'out'}", "format=json", "figures=none"])
    said = capsys.readouterr()
    assert json.loads(said.out) == json.loads((tmp_path / "out/compare.json").read_text())
    assert "compare.json" in said.err


def test_one_page_has_the_same_for_a_browser(tmp_path, capsys):
    page = tmp_path / "new/runs.html"
    main([*_pair(tmp_path), f"out={tmp_path}", f"html={page}", "step=best", "figures=none"])
    text = page.read_text()
    assert f"written: {page}" in capsys.readouterr().out
    assert "2 runs compared" in text and "sweep/chain/level, uncorrected" in text
    assert '<caption class="unseen">What was trained' in text and "60 problems that all runs have" in text


def test_csv_has_a_file_for_models_and_one_for_pairs(tmp_path, capsys):
    main([*_pair(tmp_path), f"out={tmp_path / 'out'}", "format=csv", "figures=none"])
    printed = capsys.readouterr().out
    assert printed == (tmp_path / "out/compare.csv").read_text() and printed.startswith("model,run,")
    assert [line.split(",")[0] for line in printed.splitlines()] == ["model", "unpruned", "pruned", "run", "run"]
    assert len((tmp_path / "out/compare_pairs.csv").read_text().splitlines()) == 1 + 4


@pytest.mark.parametrize(("form", "file", "begins"), [("markdown", "md", "**what"), ("latex", "tex", r"\begin{table}")])
def test_other_formats(tmp_path, capsys, form, file, begins):
    main([*_pair(tmp_path), f"out={tmp_path}", f"format={form}", "step=best", "figures=none"])
    printed = capsys.readouterr().out
    assert printed.startswith(begins) and printed == (tmp_path / f"compare.{file}").read_text()
    assert "sweep/chain/level, uncorrected" in printed


def test_another_sweep_is_chosen_by_its_step(tmp_path, capsys):
    main([_run(tmp_path / "one", run_steps=(0, 5, 10)), f"out={tmp_path}", "step=5", "figures=none"])
    assert re.search(r"^one .* 5 of 10 ", capsys.readouterr().out, re.M)


def test_runs_of_one_name_are_numbered(tmp_path, capsys):
    main([_run(tmp_path / "a/run"), _run(tmp_path / "b/run"), f"out={tmp_path}", "format=json", "figures=none"])
    assert [run["run"] for run in json.loads(capsys.readouterr().out)["runs"]] == ["run (1)", "run (2)"]


def test_folders_among_the_runs_that_hold_none_are_left_out_and_named(tmp_path, capsys):
    for name in ("cache", "compare"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    folders = [str(tmp_path / "runs" / "cache"), _run(tmp_path / "runs" / "a"), str(tmp_path / "runs" / "compare")]
    main([*folders, f"out={tmp_path}", "format=json", "figures=none"])
    found = json.loads(capsys.readouterr().out)
    assert [run["run"] for run in found["runs"]] == ["a"]
    assert found["notes"] == [
        "Left out, since they hold no run (no run.json, recipe.yaml or sweeps.jsonl): "
        f"{tmp_path}/runs/cache, {tmp_path}/runs/compare."
    ]


def test_keys_that_differ_are_shown(tmp_path, capsys):
    folders = [_run(tmp_path / str(seed), {"recipe": RECIPE | {"seed": seed}}) for seed in (3, 4)]
    main([*folders, f"out={tmp_path / 'out'}", "figures=none"])
    assert re.search(r"recipe keys that differ\nrun  seed\n3    3\n4    4\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere"], "nowhere: no such run folder"),
        (["empty"], "empty: unfinished"),
        (["begun"], "begun: unfinished"),
        (["done", "other"], "compare runs on the same suite"),
        (["done", "unlike"], "unlike was not measured by the protocol of done on chain"),
        (["outside"], r"outside/sweeps.jsonl: the suite '../../x' must be a name, not a path"),
        (["done", "axis=time"], "axis=time: unknown; allowed: budget, spent"),
        (["done", "figures=some"], "figures=some: unknown; allowed: all, none"),
        (["done", "format=xml"], "format=xml: unknown; allowed: text, csv, json, markdown, latex"),
        (["done", "step=7"], "step=7: done has no sweep there; it was swept at 0, 10"),
        (["done", "against=nowhere"], "nowhere: no such run folder"),
        (["done", "./done"], "done: given twice"),
        (["done", "html=empty"], "html=empty: cannot be written .it is a folder.; name another file"),
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
    _run(tmp_path / "unlike", protocol="another")
    _run(tmp_path / "outside", suite="../../x")
    with pytest.raises(UserError, match=says):
        main(arguments)


def test_logs_of_other_tools_are_compared(tmp_path, capsys):
    logs = [f"{name}@{budget}={GOLDEN / 'small.eval'}" for name in ("a", "b") for budget in (512, 1024)]
    main([*logs, f"out={tmp_path}", "figures=none", "against=b"])
    printed = capsys.readouterr().out
    assert re.search(r"^a +0.50 \[.03, .97\] +0.50 ", printed, re.M) and "3 problems that all runs have" in printed
    assert re.search(r"^a - b +level +\+0.000 ", printed, re.M) and "by one protocol" in printed


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["a@8=LOG", "runs/b"], "cannot be compared"),
        (["a@8=LOG", "step=5"], "cannot be compared"),
        (["a@8=LOG", "against=c"], "against=c: no log has this name; allowed: a"),
        (["run", "metric=acc"], "metric=acc: belongs to logs of other tools"),
    ],
)
def test_logs_and_runs_are_not_mixed(tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    _run(tmp_path / "run")
    with pytest.raises(UserError, match=says):
        main([argument.replace("LOG", str(GOLDEN / "small.eval")) for argument in arguments])
