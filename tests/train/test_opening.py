"""Opening a run folder: where a run starts, and what it forgets where it goes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.errors import UserError
from recipes.loader import load_recipe
from recipes.run import RunSection
from recipes.schema import Recipe
from runtime.files import append_row, read_rows, write_rows
from runtime.ranks import ALONE
from runtime.run_folder import RunFolder
from train.opening import (
    Resume,
    begin_record,
    check_same_run,
    check_same_start,
    find_resume,
    folder_name,
    forget_after,
    open_run,
    with_new_defaults,
)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run with checkpoints at steps 2 and 4, of which the second is complete, and one at 6 that is not."""
    folder = RunFolder(tmp_path / "run")
    folder.add_facts({"ranks": 1, "ranks_begun": 2})
    for step in (2, 4, 6):
        folder.checkpoint(step).mkdir()
        if step < 6:
            (folder.checkpoint(step) / "COMPLETE").touch()
    return folder


def test_auto_takes_the_newest_complete_checkpoint(folder: RunFolder) -> None:
    resume = find_resume(folder, RunSection())
    assert (resume.checkpoint, resume.step, resume.ranks_begun(5)) == (folder.checkpoint(4), 4, 2)


def test_a_resumed_run_names_the_step_that_it_continues_after(folder: RunFolder) -> None:
    told = find_resume(folder, RunSection()).told()
    assert told == f"resume after step 4, from {folder.checkpoint(4)}"


def test_a_run_that_went_on_meanwhile_is_noticed(folder: RunFolder) -> None:
    resume = find_resume(folder, RunSection())
    check_same_start(resume, folder, RunSection())
    (folder.checkpoint(9)).mkdir()
    (folder.checkpoint(9) / "COMPLETE").write_text("9")
    with pytest.raises(UserError, match="another run used it while this one was starting; start this one again"):
        check_same_start(resume, folder, RunSection())


def test_auto_begins_where_there_is_none(tmp_path: Path) -> None:
    resume = find_resume(RunFolder(tmp_path), RunSection())
    assert (resume, resume.step, resume.ranks_begun(5)) == (Resume(None, RunFolder(tmp_path)), -1, 5)


def test_a_path_is_of_the_run_beside_it(folder: RunFolder, tmp_path: Path) -> None:
    resume = find_resume(RunFolder(tmp_path / "new"), RunSection(resume=str(folder.checkpoint(2))))
    assert resume == Resume(folder.checkpoint(2), folder)


def test_a_path_that_is_not_complete_is_refused(folder: RunFolder) -> None:
    with pytest.raises(UserError, match="no complete checkpoint there"):
        find_resume(folder, RunSection(resume=str(folder.checkpoint(6))))


def test_never_refuses_a_folder_with_a_run(folder: RunFolder) -> None:
    with pytest.raises(UserError, match="contains a run"):
        find_resume(folder, RunSection(resume="never"))


def test_what_was_noted_of_steps_that_are_done_again_is_forgotten(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.add_facts({"skipped_steps": [3, 6], "early_stop": {"step": 8, "reason": ""}, "best": {"step": 4}})
    write_rows(folder.skipped, [{"step": 3}, {"step": 6}])
    forget_after(folder, 4)
    assert folder.facts() == {"skipped_steps": [3], "early_stop": None, "best": {"step": 4}}
    assert read_rows(folder.skipped) == [{"step": 3}]


def test_a_row_that_a_kill_cut_does_not_spoil_the_next_one(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.metrics.write_text('{"step": 1}\n{"step": 2, "lo')
    forget_after(folder, 1)
    append_row(folder.metrics, {"step": 2})
    assert read_rows(folder.metrics) == [{"step": 1}, {"step": 2}]


def test_later_checkpoints_are_not_complete_any_more(folder: RunFolder) -> None:
    forget_after(folder, 2)
    assert folder.complete_checkpoints() == [folder.checkpoint(2)]


def test_a_record_from_before_a_key_was_there_is_that_of_its_default() -> None:
    recipe = load_recipe(["recipe=lora_recovery.yaml"]).recipe.model_dump(mode="json")
    earlier = {key: value for key, value in recipe.items() if key not in ("loss", "on_policy")}
    assert with_new_defaults(earlier) == recipe


def test_a_record_that_is_no_recipe_any_more_stays_as_it_is() -> None:
    assert with_new_defaults({"given_up": 1}) == {"given_up": 1}


def _without(section: object, key: str) -> object:
    """A recorded recipe without a key, at every depth."""
    if isinstance(section, list):
        return [_without(part, key) for part in section]
    if not isinstance(section, dict):
        return section
    return {name: _without(value, key) for name, value in section.items() if name != key}


def _recipe(limit: int, tmp_path: Path) -> Recipe:
    traces = f"data.traces={{source: jsonl, path: {tmp_path / 'a.jsonl'}, unpack_limit: {limit}}}"
    return load_recipe(["recipe=lora_recovery.yaml", traces]).recipe


def test_a_key_that_came_after_a_run_began_counts_at_its_default(folder: RunFolder, tmp_path: Path) -> None:
    recorded = _recipe(200, tmp_path).model_dump(mode="json")
    folder.add_facts({"recipe": _without(recorded, "unpack_limit")})
    assert check_same_run(folder, _recipe(200, tmp_path), 1) == []
    with pytest.raises(UserError, match=r"data.traces.unpack_limit \(200 before, 3 now\)"):
        check_same_run(folder, _recipe(3, tmp_path), 1)


@pytest.mark.parametrize("name", ["samples", "figures", "logs", "metrics.jsonl", "sweeps.jsonl", "checkpoint-4"])
def test_a_link_out_of_the_run_folder_is_refused_before_anything_is_written(name: str, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    (folder.path / name).symlink_to(tmp_path / "elsewhere")
    loaded = load_recipe(["recipe=lora_recovery.yaml", f"run.dir={folder.path}"])
    with pytest.raises(UserError, match=rf"{name} is a link to {tmp_path / 'elsewhere'}, outside the run folder"):
        open_run(folder, Resume(None, folder), loaded, ALONE)
    assert not any((tmp_path / "elsewhere").iterdir()) and not folder.record.exists()


def test_under_an_agent_a_run_has_its_id_and_a_folder_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep")
    monkeypatch.setenv("WANDB_RUN_ID", "ab12cd34")
    monkeypatch.chdir(tmp_path)
    loaded = load_recipe(["recipe=lora_recovery.yaml"])
    folder = RunFolder(folder_name(loaded))
    assert folder.path == Path("runs/lora_recovery-ab12cd34")
    begin_record(folder, loaded, 1, {})
    assert folder.facts()["id"] == "ab12cd34"


def test_a_run_that_resumes_under_another_agent_keeps_its_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.add_facts({"id": "mine"})
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep")
    monkeypatch.setenv("WANDB_RUN_ID", "ab12cd34")
    begin_record(folder, load_recipe(["recipe=lora_recovery.yaml"]), 1, {})
    assert folder.facts()["id"] == "mine"
