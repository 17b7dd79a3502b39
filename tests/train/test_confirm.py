"""The kept checkpoint on problems that no sweep saw: once, resumed where it was killed, and nobody else's figures."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from recipes.loader import load_recipe
from recipes.schema import Recipe
from runtime.run_folder import RunFolder
from tests.train.runs import SCRIPT, rows, small, untimed
from tests.train.starts import completed_ranks, start_run, wait_until
from train.confirm import _earlier, _is_used, confirmation_of, weights_of
from train.export import main as export

BEST = (
    "zero.stage=0",
    "trainer.disable_tqdm=true",
    "trainer.logging_steps=1",
    "keep_best=sweep/chain/base",  # every sweep has the same: the first is the best
    "export.checkpoint=best",
    "sweep.confirm={problems: 120}",
    "sweep.engine.batch_size=8",
    "export.enabled=false",
)
MINE = {"step": 4, "weights": "abc", "protocol": "p"}


def arguments(folder: Path, cache: Path) -> list[str]:
    return small("lora", folder, cache, *BEST)


def recipe_of(folder: Path, cache: Path) -> Recipe:
    return load_recipe(arguments(folder, cache)).recipe


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """The run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert start_run(small("lora", folder, cache, *BEST, "run.report=end")).end().code == 0
    return folder


@pytest.mark.parametrize(
    ("step", "weights", "protocol", "used"),
    [(4, "abc", "p", False), (4, "abc", "other", False), (8, "abc", "p", True), (4, "changed", "p", True)],
)
def test_problems_confirm_one_checkpoint(step: int, weights: str, protocol: str, used: bool, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert not _is_used(folder, step, weights, protocol)
    folder.add_facts({"confirmed": {**MINE, "kept": 4}})
    assert _is_used(folder, step, weights, protocol) is used
    assert folder.facts()["confirmed"]["kept"] == (step if used else 4)


def test_other_problems_of_one_run_are_counted() -> None:
    other = {**MINE, "protocol": "q"}
    assert (_earlier(MINE, None), _earlier(MINE, {**MINE, "earlier": 1}), _earlier(MINE, {**other, "earlier": 1})) == (
        0,
        1,
        2,
    )


@pytest.mark.slow
def test_the_best_checkpoint_is_confirmed_with_both_references_and_recorded(whole: Path) -> None:
    record = json.loads((whole / "run.json").read_text())
    confirmed = rows(whole / "confirmed" / "sweeps.jsonl")
    assert [(row["model"], row["step"]) for row in confirmed if row["budget"] is None] == [
        ("unpruned", 0),
        ("pruned", 0),
        ("run", record["best"]["step"]),
    ]
    assert record["best"]["step"] == 4 != 8  # not the last one
    summary = confirmed[-1]
    assert (summary["suite"], summary["problems"], summary["paired"]) == ("chain-confirm", 120, 120)
    assert (summary["verdict_error"], record["confirmed"]["verdict"]) == (0.05, summary["verdict"])  # a single look
    assert record["confirmed"]["verdict_line"] in (whole / "report.html").read_text().replace("&#39;", "'")


@pytest.mark.slow
def test_killed_in_the_middle_it_resumes_to_the_same_figures(whole: Path, tmp_path: Path, cache: Path) -> None:
    folder = tmp_path / "run"
    place = folder / "confirmed" / "samples" / "chain-confirm"

    def journalled() -> int:
        return sum(len(file.read_bytes().splitlines()) for file in place.glob("run-000004.jsonl.journal-*"))

    start = start_run(arguments(folder, cache))
    wait_until(lambda: journalled() > 3)
    start.send(signal.SIGKILL)
    assert start.end().code == -signal.SIGKILL
    assert 3 < journalled() < 121 and not (place / "run-000004.jsonl").exists()
    assert "confirmed" not in json.loads((folder / "run.json").read_text())
    assert start_run(arguments(folder, cache)).end().code == 0
    assert untimed(folder / "confirmed" / "sweeps.jsonl") == untimed(whole / "confirmed" / "sweeps.jsonl")
    thoughts = [rows(each / "confirmed/samples/chain-confirm/run-000004.jsonl")[1:] for each in (folder, whole)]
    assert thoughts[0] == thoughts[1] and len(thoughts[0]) == 120


@pytest.mark.slow
def test_started_again_it_is_not_measured_again(whole: Path, cache: Path) -> None:
    file = whole / "confirmed" / "samples" / "chain-confirm" / "run-000004.jsonl"
    before, written = file.read_text(), file.stat().st_mtime_ns
    assert start_run(arguments(whole, cache)).end().code == 0
    assert (file.read_text(), file.stat().st_mtime_ns) == (before, written)
    assert json.loads((whole / "run.json").read_text())["confirmed"]["earlier"] == 0


@pytest.mark.slow
def test_only_the_export_of_the_confirmed_checkpoint_has_its_figures(whole: Path, cache: Path, tmp_path: Path) -> None:
    line = json.loads((whole / "run.json").read_text())["confirmed"]["verdict_line"]
    notes, cards = {}, {}
    for which in ("best", "last"):
        out = tmp_path / which
        export([f"run={whole}", f"out={out}", f"checkpoint={which}"])
        notes[which] = json.loads((out / "export_report.json").read_text())["note"]
        cards[which] = (out / "README.md").read_text()
    assert notes["best"].startswith("Step 4 confirmed on 120 problems") and notes["best"].endswith(line)
    assert notes["last"] == "Not confirmed: the confirmed checkpoint is that of step 4."
    assert ("Confirmed: on 120 problems" in cards["best"], "Confirmed: on" in cards["last"]) == (True, False)


@pytest.mark.slow
def test_a_confirmation_of_other_weights_at_the_same_step_is_none(whole: Path, cache: Path) -> None:
    folder, pruned, recipe = RunFolder(whole), str(whole / "pruned"), recipe_of(whole, cache)
    checkpoint = folder.checkpoint(4)
    assert confirmation_of(folder, checkpoint, pruned, recipe) == folder.facts()["confirmed"]
    assert folder.facts()["confirmed"]["weights"] == weights_of(checkpoint, pruned, recipe)
    confirmed = folder.facts()["confirmed"]
    folder.add_facts({"confirmed": {**confirmed, "weights": "others"}})
    assert confirmation_of(folder, checkpoint, pruned, recipe) is None
    folder.add_facts({"confirmed": confirmed})


@pytest.mark.slow
def test_two_ranks_confirm_what_one_does(whole: Path, tmp_path: Path, cache: Path) -> None:
    """Each rank thinks its share of the problems, of the whole checkpoint of a sharded run."""
    more = ("zero.stage=3", "trainer.per_device_train_batch_size=4", "export.checkpoint=last", "keep_best=null")
    given = small("full", tmp_path / "run", cache, *BEST, *more)
    done = completed_ranks([SCRIPT, *given], tmp_path, 2)
    assert done.returncode == 0, done.stderr[-2000:]
    confirmed = rows(tmp_path / "run" / "confirmed" / "sweeps.jsonl")
    assert (
        untimed(tmp_path / "run" / "confirmed" / "sweeps.jsonl")[:12]
        == untimed(whole / "confirmed" / "sweeps.jsonl")[:12]
    )  # the references of both
    assert (confirmed[-1]["step"], confirmed[-1]["problems"], confirmed[-1]["samples"]) == (8, 120, 1)
    assert "Step 8 confirmed on 120 problems that no sweep saw (chain-confirm)" in done.stdout
