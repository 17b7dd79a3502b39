"""Sweeps that are kept: nothing is lost by a kill, nothing is done twice, nothing of another making is overwritten."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import signal
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import torch

from eval.kept_sweep import KeptSweep, Place
from eval.samples import read_sweep
from eval.sweep import SweepSpec, engine_on, suite_requests, suite_sweep
from eval.types import Thought, Weights
from recipes.engines import HFEngine
from recipes.errors import UserError
from runtime.journal import Busy, Journal
from runtime.ranks import ALONE, Ranks
from runtime.seal import sealing
from tests.eval.worlds import nano, nano_spec, nano_suite, sweep_model
from tests.runtime.test_progress import every_line

SUITES = [nano_suite("shallow", 3), nano_suite("chain", 6)]
SPEC = nano_spec(SUITES, [8, 24])


def kept(folder: Path, spec: SweepSpec = SPEC, weights_hash: str = "weights") -> KeptSweep:
    return KeptSweep(spec, Place(folder, "run", 20), weights_hash, ALONE)


def load() -> Weights:
    return Weights(nano())


def never() -> Weights:
    raise AssertionError("nothing is left to do, and yet the weights are asked for")


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    kept(tmp_path).run(load)
    return tmp_path


def file(folder: Path) -> Path:
    return folder / "chain" / "run-000020.jsonl"


def test_it_is_the_sweep(tmp_path: Path) -> None:
    thoughts = sweep_model(nano(), SPEC, ALONE)
    expected = {suite.name: suite_sweep(suite, SPEC, thoughts[suite.name], "run", 20) for suite in SUITES}
    assert kept(tmp_path).run(load) == expected


def test_its_files_give_it_back_and_the_journal_is_gone(tmp_path: Path) -> None:
    sweeps = kept(tmp_path).run(load)
    assert read_sweep(file(tmp_path)) == sweeps["chain"]
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["run-000020.jsonl"] * 2 + ["run-000020.sha256"] * 2


def test_what_is_whole_is_not_done_again(whole: Path) -> None:
    assert kept(whole).run(never)["chain"] == read_sweep(file(whole))


def test_a_file_without_groups_has_those_that_the_suite_names(whole: Path) -> None:
    """Files of earlier versions, and of runs whose suite had no such column."""
    other, chain = SUITES
    problems = tuple(dataclasses.replace(problem, group=f"g{n % 2}") for n, problem in enumerate(chain.problems))
    spec = dataclasses.replace(SPEC, suites=(other, dataclasses.replace(chain, problems=problems)))
    sweeps = KeptSweep(spec, Place(whole, "run", 20), "weights", ALONE).run(never)
    assert read_sweep(file(whole)).groups is None
    assert sweeps["chain"].groups == {problem.id: problem.group for problem in problems}


def test_only_the_suite_that_is_not_there_is_swept(whole: Path) -> None:
    content = file(whole).read_text()
    file(whole).unlink()
    other = whole / "shallow" / "run-000020.jsonl"
    with sealing(other) as sealed:
        sealed.write_text(other.read_text().replace('"correct": true', '"correct": false'))  # unlike any new sweep
    sweeps = kept(whole).run(load)
    assert file(whole).read_text() == content
    assert not any(score.correct for score in sweeps["shallow"].scores)


def flip_grades(path: Path) -> None:
    text = path.read_text()
    assert '"correct": false' in text
    path.write_text(text.replace('"correct": false', '"correct": true'))


def drop_a_line(path: Path) -> None:
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


def become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


# fmt: off
UNTRUE = {
    "flipped grades": (flip_grades, "it has other bytes than were sealed"),
    "a missing line": (drop_a_line, "it has other bytes than were sealed"),
    "a cut line": (lambda path: path.write_bytes(path.read_bytes()[:-20]), "it has other bytes than were sealed"),
    "a wrong type": (lambda path: path.write_text(path.read_text() + "[7]\n"), "it has other bytes than were sealed"),
    "no seal": (lambda path: path.with_suffix(".sha256").unlink(), "it has no seal run-000020.sha256"),
    "an empty seal": (lambda path: path.with_suffix(".sha256").write_text(""), "it has other bytes than were sealed"),
    "a broken seal": (lambda path: path.with_suffix(".sha256").write_bytes(b"\xff"), "it has other bytes than were"),
    "an empty file": (lambda path: path.write_text(""), "it has no header"),
    "a foreign file": (lambda path: path.write_bytes(b"\x89PNG\r\n\xff"), "it has no header"),
    "a deep one": (lambda path: path.write_text("[" * 100_000), "it has no header"),
    "a folder": (become_a_folder, "it has no header"),
    "a link to nowhere": (lambda path: (path.unlink(), path.symlink_to("nowhere")), "it has no header"),
}
# fmt: on


@pytest.mark.parametrize(("harm", "fault"), UNTRUE.values(), ids=UNTRUE)
def test_what_does_not_fit_its_seal_is_measured_anew_and_said(
    whole: Path, harm: Callable[[Path], Any], fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before, content = read_sweep(file(whole)), file(whole).read_bytes()
    harm(file(whole))
    sweeps = kept(whole).run(load)
    assert (sweeps["chain"], file(whole).read_bytes()) == (before, content)
    said = capsys.readouterr().out
    assert said.startswith(f"{file(whole)} is not trusted ({fault}") and said.count("\n") == 1
    assert "kept as run-000020.jsonl.damaged-1, and measured again" in said
    assert os.path.lexists(file(whole).with_name("run-000020.jsonl.damaged-1"))


def test_a_journal_whose_lines_are_no_thoughts_is_refused(tmp_path: Path) -> None:
    begin(tmp_path, lambda thought: thought)
    (path,) = tmp_path.rglob("*journal*")
    path.write_text(path.read_text().splitlines()[0] + '\n{"problem": 7}\n')
    with pytest.raises(UserError, match=r"run-000020.jsonl.journal-\*: damaged, a line is not a thought \(KeyError"):
        kept(tmp_path).run(load)


def begin(folder: Path, change: Callable[[Thought], Thought]) -> str:
    """The samples file of a whole sweep, after leaving its journal as a kill would: two thoughts, the third cut."""
    kept(folder).run(load)
    content = file(folder).read_text()
    file(folder).unlink()
    with engine_on(load(), SPEC) as engine:
        thoughts = [one for one in engine.think(suite_requests(SUITES[1], SPEC)) if isinstance(one, Thought)]
    journal = Journal(file(folder), json.loads(content.splitlines()[0]))
    with journal.writer(0) as writer:
        for thought in thoughts[:3]:
            writer.add(change(thought).row())
    (path,) = journal.files()
    path.write_bytes(path.read_bytes()[:-9])
    return content


def test_a_sweep_that_was_killed_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    content = begin(tmp_path, lambda thought: thought)
    kept(tmp_path).run(load)
    assert file(tmp_path).read_text() == content
    assert not list(tmp_path.rglob("*journal*"))


def test_finished_thoughts_are_not_thought_again(tmp_path: Path) -> None:
    def silent(thought: Thought) -> Thought:  # unlike what the model thinks
        return dataclasses.replace(
            thought, answers=tuple(dataclasses.replace(answer, answer_ids=()) for answer in thought.answers)
        )

    begin(tmp_path, silent)
    sweep = kept(tmp_path).run(load)["chain"]
    assert len({score.problem for score in sweep.scores if score.answer_tokens == 0}) == 2


@pytest.mark.parametrize(
    ("spec", "weights_hash", "said"),
    [
        (SPEC, "others", r"weights \(weights there, others now\)"),
        (nano_spec(SUITES, [8, 30]), "weights", r"budgets \(\[8, 24\] there, \[8, 30\] now\), protocol \("),
    ],
)
def test_files_of_another_making_are_refused_and_stay(
    whole: Path, spec: SweepSpec, weights_hash: str, said: str
) -> None:
    before = file(whole).read_text()
    with pytest.raises(UserError, match=f"run-000020.jsonl holds another sweep: {said}"):
        kept(whole, spec, weights_hash).run(never)
    assert file(whole).read_text() == before


def test_a_journal_of_other_weights_is_refused(tmp_path: Path) -> None:
    begin(tmp_path, lambda thought: thought)
    (tmp_path / "shallow" / "run-000020.jsonl").unlink()
    with pytest.raises(UserError, match=r"journal-0.jsonl belongs to other work: weights \(weights there"):
        kept(tmp_path, weights_hash="others").run(load)


def test_others_set_aside_are_kept_under_another_name(whole: Path) -> None:
    before = file(whole).read_text()
    sweep = kept(whole, weights_hash="others")
    sweep.set_others_aside()
    sweep.run(load)
    assert file(whole).with_name("run-000020.jsonl.other-1").read_text() == before
    assert read_sweep(file(whole)).scores == read_sweep(whole / "chain" / "run-000020.jsonl").scores


def test_what_is_of_the_same_making_is_not_set_aside(whole: Path) -> None:
    kept(whole).set_others_aside()
    assert kept(whole).run(never)


SLOW = dataclasses.replace(nano_spec([nano_suite("chain", 60)], [8, 24]), engine=HFEngine(batch_size=2))


def _sweep_alone(folder: Path, spec: SweepSpec = SLOW) -> None:
    torch.set_num_threads(1)
    kept(folder, spec).run(load)


def _kill_after(folder: Path, more_lines: int) -> bool:
    """Runs a sweep in a process of its own and kills it when its journal has so many more lines; False: it ended."""

    def lines() -> int:
        return sum(path.read_bytes().count(b"\n") for path in folder.rglob("*.journal-*"))

    before, process = lines(), get_context("fork").Process(target=_sweep_alone, args=(folder,))
    process.start()
    while process.is_alive() and lines() < before + more_lines:
        process.join(0.001)
    if process.is_alive():
        os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    return process.exitcode == -signal.SIGKILL


@pytest.mark.slow
def test_killed_at_twenty_random_points_it_ends_with_the_same_rows(tmp_path: Path) -> None:
    draw, kills = random.Random(0), 0
    _sweep_alone(tmp_path / "once")
    for _ in range(20):
        kills += _kill_after(tmp_path / "often", draw.randint(0, 5))
    _sweep_alone(tmp_path / "often")
    assert file(tmp_path / "often").read_text() == file(tmp_path / "once").read_text()
    assert kills >= 18


def test_two_processes_at_one_place_leave_one_whole_file(tmp_path: Path) -> None:
    _sweep_alone(tmp_path / "once", SPEC)
    both = [get_context("fork").Process(target=_sweep_alone, args=(tmp_path / "both", SPEC)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    names = sorted(path.name for path in (tmp_path / "both" / "chain").iterdir())
    assert names == ["run-000020.jsonl", "run-000020.sha256"]
    assert file(tmp_path / "both").read_text() == file(tmp_path / "once").read_text()


def test_a_journal_is_taken_before_the_ranks_agree_on_its_name(tmp_path: Path) -> None:
    """Another process comes between: it finds the journal taken, and the sweep goes on."""
    spec, refused = nano_spec([SUITES[1]], [8]), list[Busy]()

    def gather(rows: list[Any]) -> list[Any]:
        if rows == [("done", (file(tmp_path).name, []), 0)]:
            try:
                Journal(file(tmp_path), {}).writer(0).__enter__()
            except Busy as busy:
                refused.append(busy)
        return rows

    KeptSweep(spec, Place(tmp_path, "run", 20), "weights", Ranks(0, 1, gather)).run(load)
    assert len(refused) == 1
    assert not list(tmp_path.rglob("*journal*"))


def test_journals_that_killed_second_processes_left_go_with_the_sweep(tmp_path: Path) -> None:
    left = file(tmp_path).with_name("run-000020-4711.jsonl.journal-0.jsonl")
    left.parent.mkdir(parents=True)
    left.write_text("{}\n")
    kept(tmp_path).run(load)
    assert not left.exists()


def test_the_journal_of_a_second_process_at_work_stays(tmp_path: Path) -> None:
    file(tmp_path).parent.mkdir(parents=True)
    with Journal(file(tmp_path).with_name("run-000020-4711.jsonl"), {}).writer(0):
        kept(tmp_path).run(load)
        assert len(list(tmp_path.rglob("*journal*"))) == 1


def test_it_shows_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    every_line(monkeypatch)
    kept(tmp_path).run(load)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("step 20 sweep, chain: ")]
    assert lines[0].split(": ")[1].startswith("0 of 6 thoughts (0%), ")  # at the first token
    assert lines[-1].split(": ", 1)[1].startswith("6 of 6 thoughts (100%), ") and "tokens/s" in lines[-1]
