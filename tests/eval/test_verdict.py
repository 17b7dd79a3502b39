"""`python -m eval.verdict`: rows of any tool in, numbers and verdict out."""

import gzip
import json
from pathlib import Path

import pytest

from eval.verdict import main
from recipes.errors import UserError
from tests.eval.logs.golden_files import GOLDEN
from tests.eval.numbers.made_models import BUDGETS, PRUNED, UNPRUNED, model_means


def _write(path, models, problems=120):
    rows = [
        {"model": name, "problem": f"p{p}", "sample": 0, "budget": b, "correct": bool(grade)}
        for seed, (name, accuracies) in enumerate(models.items())
        for p, row in enumerate(model_means(accuracies, problems, seed))
        for b, grade in zip(BUDGETS, row, strict=True)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_the_command_on_rows_of_any_tool(tmp_path, capsys):
    path = _write(tmp_path / "rows.jsonl", {"unpruned": UNPRUNED, "pruned": PRUNED, "run": UNPRUNED})
    main([path, "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["verdict"]["word"] == "RETURNED" and report["paired"] == 120
    assert [row["budget"] for row in report["models"]["run"]["accuracy"]] == list(BUDGETS)
    main([path])
    out = capsys.readouterr().out
    assert "\nRETURNED: " in out and "of the level lost at 128 tokens is back, the gain is" in out
    assert "tokens for the unpruned accuracy at 128, in multiples of that budget: " in out


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
    # all 9 problems agree, so each side reaches 1.96² / (9 + 1.96²) = 0.30
    assert "gain +1.00 [+0.70, +1.30] per doubling" in out and "no rows of unpruned, pruned" in out


GOOD = '{"problem": "a", "sample": 0, "budget": 8, "correct": true}\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GOOD + "{oops\n", ":2: not JSON"),
        (GOOD + '{"problem": "a", "sample": 0}\n', ":2: no budget, correct"),
        (GOOD + GOOD, ":2: problem 'a', sample 0, budget 8 of model run is given twice"),
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


def _oddly_written(kind):
    rows = "".join(
        json.dumps({"problem": name, "sample": 0, "budget": b, "correct": b > 8, "answer": "x"}, ensure_ascii=False)
        + "\n"
        for name in ("a\u2028b", "c\u0085d", "e\u2029f")
        for b in (8, 16)
    ).encode()
    return {
        "separators": rows,
        "bom": b"\xef\xbb\xbf" + rows,
        "crlf": rows.replace(b"\n", b"\r\n"),
        "blank lines": rows.replace(b"\n", b"\n \n"),
        "packed.gz": gzip.compress(rows),
    }[kind]


@pytest.mark.parametrize("kind", ["separators", "bom", "crlf", "blank lines", "packed.gz"])
def test_only_a_newline_ends_a_line_and_a_mark_of_byte_order_is_no_text(tmp_path, capsys, kind):
    (tmp_path / kind).write_bytes(_oddly_written(kind))
    main([str(tmp_path / kind)])
    assert "run: 3 problems x 1, level 1.00" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("rows.jsonl", GOOD.encode() + b'{"problem": "\xff"}\n', "rows.jsonl:2: not JSON"),
        ("rows.jsonl", gzip.compress(GOOD.encode()), "rows.jsonl:1: not JSON"),
        ("rows.jsonl.gz", GOOD.encode(), "rows.jsonl.gz cannot be read"),
        ("rows.jsonl.gz", gzip.compress(GOOD.encode() * 99)[:-9], "rows.jsonl.gz cannot be read"),
        ("rows.jsonl", GOOD.encode("utf-16"), "rows.jsonl:1: not JSON"),
    ],
    ids=["a byte of another encoding", "packed under a plain name", "plain under a packed name", "cut", "utf-16"],
)
def test_other_bytes_are_one_clear_line(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=says) as fault:
        main([str(tmp_path / name)])
    assert len(str(fault.value).splitlines()) == 1


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
    assert "3 problems x 2, 1 thoughts missing, level 0.50, gain +0.00 [" in capsys.readouterr().out


def test_thinking_off_alone_has_neither_level_nor_gain(tmp_path, capsys):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"problem": p, "sample": 0, "budget": 0, "correct": True}) + "\n" for p in "ab"))
    main([str(path)])
    assert "level not defined, gain not defined" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["a.jsonl", "b.jsonl"],
        ["nowhere.jsonl"],
        ["a.jsonl", "delta=-1"],
        ["a.jsonl", "detla=1"],
        ["a.jsonl", "not_returned_share=0.9"],
    ],
)
def test_bad_arguments(arguments):
    with pytest.raises(UserError):
        main(arguments)


def test_the_run_has_one_gain_in_its_own_line_and_in_the_verdict(tmp_path, capsys):
    path = _write(tmp_path / "rows.jsonl", {"unpruned": UNPRUNED, "pruned": PRUNED, "run": UNPRUNED})
    main([path, "--json"])
    report = json.loads(capsys.readouterr().out)
    run, verdict = report["models"]["run"], report["verdict"]
    assert (run["gain_per_doubling"], run["gain_low"], run["gain_high"]) == (
        verdict["gain"], verdict["gain_low"], verdict["gain_high"])  # fmt: skip
    main([path])
    lines = capsys.readouterr().out.splitlines()
    said = f"gain {verdict['gain']:+.2f} [{verdict['gain_low']:+.2f}, {verdict['gain_high']:+.2f}] per doubling"
    assert [said in line for line in lines if line.startswith(("run", "RETURNED"))] == [True, True]


def test_the_gain_of_a_judged_run_is_that_of_the_paired_problems(tmp_path, capsys):
    path = Path(_write(tmp_path / "rows.jsonl", {"unpruned": UNPRUNED, "pruned": PRUNED, "run": UNPRUNED}))
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    few = [row for row in rows if row["model"] == "run" or int(row["problem"][1:]) < 80]
    path.write_text("".join(json.dumps(row) + "\n" for row in few))
    main([str(path), "--json"])
    report = json.loads(capsys.readouterr().out)
    assert (report["paired"], report["models"]["run"]["problems"]) == (80, 120)
    assert report["models"]["run"]["gain_low"] == report["verdict"]["gain_low"]


def test_rows_of_groups_are_clustered(tmp_path, capsys):
    path = Path(_write(tmp_path / "rows.jsonl", {"unpruned": UNPRUNED, "pruned": PRUNED, "run": UNPRUNED}))
    main([str(path), "--json"])
    plain = json.loads(capsys.readouterr().out)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row | {"group": int(row["problem"][1:]) % 30}) + "\n" for row in rows))
    main([str(path), "--json"])
    report = json.loads(capsys.readouterr().out)
    run = report["models"]["run"]
    assert (run["groups"], run["problems"], report["verdict"]["unit"], report["verdict"]["problems"]) == (
        30, 120, "groups", 30)  # fmt: skip
    assert run["gain_per_doubling"] == pytest.approx(plain["models"]["run"]["gain_per_doubling"])
    assert run["gain_low"] != plain["models"]["run"]["gain_low"]
    main([str(path)])
    assert "120 problems x 1 in 30 groups, level" in capsys.readouterr().out


GROUPED = GOOD.replace("}", ', "group": "x"}')


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GROUPED + GOOD.replace('"a"', '"b"'), ":2: some rows have a group and some have none"),
        (
            GROUPED + GROUPED.replace("8", "16").replace('"x"', '"y"'),
            ":2: problem 'a' has group 'y' here and 'x' before",
        ),
        (GOOD.replace("}", ', "group": [1]}'), ":1: group=[1] must be a name"),
    ],
)
def test_bad_groups_name_file_and_line(tmp_path, text, says):
    path = tmp_path / "rows.jsonl"
    path.write_text(text)
    with pytest.raises(UserError, match="rows.jsonl") as fault:
        main([str(path)])
    assert says in str(fault.value)


@pytest.mark.parametrize("key", ["margin", "level_margin", "min_recovered"])
def test_the_keys_of_the_earlier_rule_name_the_new_ones(key):
    with pytest.raises(UserError, match=rf"{key}=0\.1: no longer a key: .*sweep\.verdict\."):
        main(["a.jsonl", f"{key}=0.1"])


def test_resamples_is_refused_with_the_reason():
    with pytest.raises(
        UserError, match=r"resamples=500: no longer a key: intervals are no longer computed by resampling"
    ):
        main(["a.jsonl", "resamples=500"])


def test_logs_of_other_tools_are_judged(capsys):
    models = ("unpruned", "pruned", "run")
    main([*(f"{model}@{budget}={GOLDEN / 'small.eval'}" for model in models for budget in (512, 1024)), "--json"])
    report = json.loads(capsys.readouterr().out)
    # each of three problems is right in one of its two epochs
    assert report["paired"] == 3 and report["verdict"]["word"] == "UNDECIDED"
    assert (report["models"]["run"]["samples"], report["models"]["run"]["level"]) == (2, 0.5)


def test_thoughts_that_a_log_lacks_are_left_out_and_counted(capsys):
    # the archive has two epochs, the json log one
    main([f"run@8={GOLDEN / 'small.eval'}", f"run@16={GOLDEN / 'small.json'}", "--json"])
    said = capsys.readouterr()
    assert json.loads(said.out)["models"]["run"]["samples"] == 1
    assert said.err == "3 thoughts are left out, which some of these logs do not have\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["mine@8=LOG"], "model='mine', allowed are unpruned, pruned, run"),
        (["run@8=LOG", "run@8=LOG"], "run: a budget is given twice"),
        (["run@8=LOG", "run@16=LOG", "pruned@8=LOG"], "pruned has logs at .8., run at .8, 16.; compare at the same"),
        (["run@8=LOG", "rows.jsonl"], "give one JSON Lines file"),
        (["rows.jsonl", "metric=acc"], "metric=NAME"),
    ],
)
def test_logs_that_cannot_be_judged(arguments, says):
    with pytest.raises(UserError, match=says):
        main([argument.replace("LOG", str(GOLDEN / "small.eval")) for argument in arguments])
