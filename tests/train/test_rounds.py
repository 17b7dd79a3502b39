"""What a run thinks about, read and checked before anything is loaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_prep.problem import Problem, Suite
from recipes.errors import UserError
from recipes.loader import load_recipe
from recipes.quality import DecontaminateSection
from runtime.ranks import ALONE
from runtime.seal import sealing
from tests.train.runs import run_in, small
from train.inputs import read_inputs
from train.rollouts import Rollout, Schedule
from train.rounds import Rounds, Thinking, unseen

LONG = "A train leaves the station at nine and travels north for three hours before it stops to wait for another"


def thinking(folder: Path, *keys: str) -> Thinking:
    recipe = load_recipe(small("on_policy", folder, folder, "zero.stage=0", *keys)).recipe
    found = read_inputs(recipe, ALONE).thinking
    assert found is not None
    return found


def test_a_recipe_without_the_section_thinks_about_nothing(tmp_path: Path) -> None:
    recipe = load_recipe(small("distill", tmp_path, tmp_path, "zero.stage=0")).recipe
    assert read_inputs(recipe, ALONE).thinking is None


def test_a_request_has_a_random_stream_of_its_own_and_no_cue_is_written(tmp_path: Path) -> None:
    found = thinking(tmp_path, "on_policy.problems.size=4")
    first, again = found.request(0), found.request(4)
    assert (first.sample, again.sample) == (0, 4)
    assert {found.request(number).problem for number in range(4)} == {problem.id for problem in found.problems}
    fmt = found.at(40).protocol.format
    assert found.at(40).protocol.budgets == (40,) and fmt.own_close_ids == fmt.forced_close_ids == fmt.close_tag_ids


def test_loops_are_stopped(tmp_path: Path) -> None:
    assert thinking(tmp_path).spec.protocol.stop_loops


def test_what_is_said_before_anything_is_loaded(tmp_path: Path) -> None:
    assert thinking(tmp_path).describe() == (
        "own thoughts about 2,000 problems: 50% of each batch, new ones every 10 steps, 32 to 128 tokens long"
    )


def test_a_problem_that_a_sweep_asks_is_left_out() -> None:
    asked = Suite("swept", (Problem("a", "What is 2 + 2?", "4"), Problem("b", LONG, "3")), "math")
    own = Suite(
        "own",
        (
            Problem("1", "What is 2 + 2?", "4"),
            Problem("2", f"{LONG} one.", "3"),
            Problem("3", "How many legs has a spider?", "8"),
        ),
        "math",
    )
    assert [problem.id for problem in unseen(own, [asked], DecontaminateSection())] == ["3"]


def test_where_all_are_asked_by_sweeps_it_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "same.jsonl"
    file.write_text(json.dumps({"id": "1", "problem": "start 4 #1 +2 ?", "answer": "6"}) + "\n")
    own = f"{{source: jsonl, name: own, path: {file}, size: 1}}"
    swept = f"[{{source: jsonl, name: chain, path: {file}}}]"
    places = [f"run.dir={tmp_path}", f"run.cache_dir={tmp_path}", f"data.cache_dir={tmp_path}"]
    keys = [*places, "zero.stage=0", f"on_policy.problems={own}", f"sweep.suites={swept}", "sweep.confirm=null"]
    recipe = load_recipe(["recipe=on_policy_recovery.yaml", *keys, "data.traces.size=20"]).recipe
    with pytest.raises(UserError, match=r"on_policy\.problems: all 1 problems are also in sweeps; name others"):
        read_inputs(recipe, ALONE)


def test_a_thought_that_does_not_fit_into_a_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"on_policy\.horizon\.end=300: with a prompt of \d+ and an answer of 4 tokens"):
        thinking(tmp_path, "on_policy.horizon={start: 32, end: 300, steps: 4}")


def test_likelihood_thinks_nothing(tmp_path: Path) -> None:
    file = tmp_path / "choices.jsonl"
    file.write_text(json.dumps({"id": "1", "problem": "?", "answer": "A", "choices": ["1", "2"]}) + "\n")
    suite = f"{{source: jsonl, name: own, path: {file}, size: 1, method: likelihood}}"
    with pytest.raises(UserError, match="method=likelihood"):
        thinking(tmp_path, f"on_policy.problems={suite}")


def rounds_of(folder: Path, *stops: str) -> Rounds:
    """The rounds of a run that has thought once, 2 thoughts, which ended as `stops` say; resumed in that round."""
    thinks = thinking(folder, "on_policy.refresh_steps=4", "on_policy.share=1")
    rounds = Rounds(thinks, Schedule(thinks.section, batch=1, steps=2), run_in(folder))
    header = {"round": 0, "step": 0, "horizon": 32, "numbers": [0, 2], "weights": "any"}
    thoughts = [Rollout(number, (5, 6), (0, 1), stop, 1).row() for number, stop in enumerate(stops)]
    rounds.folder.mkdir()
    file = rounds.folder / "round-00000.jsonl"
    with sealing(file) as temporary:
        temporary.write_text("".join(json.dumps(row) + "\n" for row in (header, *thoughts)))
    rounds.begin(1, trainer=None)
    return rounds


def test_in_the_middle_of_a_round_its_thoughts_are_read_without_a_model(tmp_path: Path) -> None:
    example = rounds_of(tmp_path, "close", "budget").example(1)
    assert example is not None and example["labels"].tolist() == [-100, 6]


def test_a_round_that_collapses_is_said_and_traces_train_in_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rounds = rounds_of(tmp_path, "loop", "loop")
    assert [rounds.example(slot) for slot in (0, 1)] == [None, None]
    assert "NOT trained on: 100% of the thoughts loop or are empty" in capsys.readouterr().out
