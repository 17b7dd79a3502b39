"""The stages of a run: what a resumed run must share with its beginning, and when nothing is left to train."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from eval.engines.pace import Pace
from eval.types import SWEEP_KEY
from recipes.errors import UserError
from recipes.run import RunSection
from recipes.schema import ModelSection
from runtime.files import put_rows
from runtime.run_folder import RunFolder
from runtime.seal import COMPLETE
from tests.eval.worlds import nano_spec, nano_suite
from tests.train.runs import MODEL, run_in
from train.hooks.recorder import Cost
from train.opening import Resume
from train.references import References
from train.stages import _cost, _group, check_same_protocol, check_same_unpruned, finished_step, unpruned_facts


def test_another_protocol_of_the_folder_gone_on_from_is_refused(tmp_path: Path) -> None:
    plan = nano_spec([nano_suite("chain", 2)], [8])
    origin, checkpoint = RunFolder(tmp_path / "origin"), tmp_path / "origin" / "checkpoint-4"
    origin.add_facts({"protocol": {"chain": "before"}})
    checkpoint.mkdir()
    (checkpoint / COMPLETE).touch()
    with pytest.raises(UserError, match=r"origin holds a run that differs in protocol\.chain \(before before"):
        check_same_protocol(RunFolder(tmp_path / "new"), Resume(checkpoint, origin), plan, RunSection())


def test_another_protocol_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    """A file of problems that changed, or a new version of an engine, since the sweeps that are there."""
    plan = nano_spec([nano_suite("chain", 2)], [8])
    now = plan.protocol_hash(plan.suites[0])
    folder = RunFolder(tmp_path)
    folder.add_facts({"protocol": {"chain": "before"}})
    fresh = Resume(None, folder)
    check_same_protocol(folder, fresh, plan, RunSection())  # without a checkpoint there is nothing to go on from
    (tmp_path / "checkpoint-4").mkdir()
    (tmp_path / "checkpoint-4" / COMPLETE).touch()
    with pytest.raises(UserError, match=rf"differs in protocol\.chain \(before before, {now} now\)"):
        check_same_protocol(folder, Resume(folder.checkpoint(4), folder), plan, RunSection())
    assert folder.facts() == {"protocol": {"chain": "before"}}
    folder.add_facts({"protocol": {"chain": now}})
    check_same_protocol(folder, Resume(folder.checkpoint(4), folder), plan, RunSection())


@pytest.mark.parametrize(
    ("model", "plan", "group"),
    [
        ({"unpruned": "big/model", "pruned": "some/where/cut"}, None, "cut"),
        ({"unpruned": "big/model"}, {"method": "tail", "removed": [5, 6]}, "model-tail-2"),
        ({"unpruned": "big/model"}, None, "model-pruned-0"),
        (
            {"unpruned": "big/model"},
            {"method": "width", "removed": [], "channels": {"width": 9, "widths": [4, 8]}},
            "model-width-8",
        ),
        ({"unpruned": "big/model"}, {"method": "low_rank", "removed": [], "ranks": {"a": 8}}, "model-low_rank-1"),
    ],
)
def test_runs_of_one_pruned_model_are_grouped(model: dict[str, str], plan: dict[str, Any] | None, group: str) -> None:
    assert _group(ModelSection.model_validate(model), plan) == group


@pytest.mark.parametrize(
    ("step", "max_steps", "asked", "reason", "finished"),
    [
        (8, 8, -1, "", 8),  # by epochs: as many steps as the run had counted
        (4, 8, -1, "", 0),
        (4, 8, 4, "", 4),  # trainer.max_steps was lowered
        (4, 8, 8, "RETURNED", 4),
    ],
)
def test_a_run_is_through_at_its_last_step_or_where_it_stopped_early(
    step: int, max_steps: int, asked: int, reason: str, finished: int, tmp_path: Path
) -> None:
    (tmp_path / "trainer_state.json").write_text(json.dumps({"global_step": step, "max_steps": max_steps}))
    trainer: Any = SimpleNamespace(args=SimpleNamespace(max_steps=asked))
    early_stop: Any = SimpleNamespace(reason=lambda step: reason)
    assert finished_step(trainer, early_stop, tmp_path) == finished


def test_other_weights_at_the_unpruned_models_place_are_refused(tmp_path: Path) -> None:
    folder, model = RunFolder(tmp_path / "run"), ModelSection(unpruned=str(tmp_path / "model"), pruned="any")
    shutil.copytree(MODEL, model.unpruned)
    folder.add_facts(unpruned_facts(model))
    folder.checkpoint(4).mkdir()
    (folder.checkpoint(4) / COMPLETE).touch()
    resume = Resume(folder.checkpoint(4), folder)
    check_same_unpruned(folder, resume, model, RunSection())
    weights = next(Path(model.unpruned).glob("*.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    for forced in (False, True):
        with pytest.raises(UserError, match=r"differs in unpruned_fingerprint \(sha256:"):
            check_same_unpruned(folder, resume, model, RunSection(resume_force=forced))


def test_a_run_of_an_earlier_version_has_no_fingerprint_to_differ(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.add_facts({"protocol": {}})
    folder.checkpoint(4).mkdir()
    (folder.checkpoint(4) / COMPLETE).touch()
    model = ModelSection(unpruned=str(MODEL), pruned="any")
    check_same_unpruned(folder, Resume(folder.checkpoint(4), folder), model, RunSection())


def paced(seconds: float) -> Pace:
    pace = Pace()
    pace.add(seconds, 1, 1.0)
    return pace


@pytest.mark.parametrize(
    ("references", "cost"),
    [
        (References({}, {}), Cost(4.0, None, 0.5)),
        (References({}, {}, {"unpruned": 3.0}, {"unpruned": paced(0.25)}), Cost(3.0, None, 0.25)),
        (References({}, {}, {}, {"unpruned": Pace()}), Cost(4.0, None, 0.5)),
    ],
    ids=["from the cache", "swept again", "nothing left to decode"],
)
def test_what_an_earlier_start_measured_of_a_reference_is_kept(
    references: References, cost: Cost, tmp_path: Path
) -> None:
    run = run_in(tmp_path)
    row = {"step": 0, "model": "unpruned", "suite": "chain", "budget": None}
    put_rows(run.folder.sweeps, [row | {"seconds": 4.0, "seconds_per_token": 0.5}], SWEEP_KEY)
    assert _cost(run, references, "unpruned") == cost


def test_rows_of_an_earlier_version_say_nothing_of_a_reference(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    put_rows(
        run.folder.sweeps, [{"step": 0, "model": "unpruned", "suite": "chain", "budget": None, "level": 0.5}], SWEEP_KEY
    )
    assert _cost(run, References({}, {}), "unpruned") == Cost()
