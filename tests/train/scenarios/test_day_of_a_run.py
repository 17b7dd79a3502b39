"""The day that a chat template writes stays that on which the run began, whenever the run is resumed."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from data_prep.tokens.prompts import render_prompt, think_format
from recipes.loader import Loaded, load_recipe
from recipes.schema import Recipe
from runtime.ranks import ALONE
from runtime.run_folder import RunFolder
from runtime.seal import COMPLETE
from tests.data_prep import templates
from train.opening import Resume, begin_record, find_resume, open_run, with_first_day

BEGUN = datetime.date(2026, 7, 31)


def loaded(folder: Path, *arguments: str) -> Loaded[Recipe]:
    return load_recipe(["recipe=full_recovery.yaml", f"run.dir={folder}", *arguments])


def resumed_in(folder: RunFolder, recipe: Loaded[Recipe]) -> tuple[Resume, Loaded[Recipe]]:
    """Where a start of the run resumes, and its recipe with the day."""
    resume = find_resume(folder, recipe.recipe.run)
    return resume, with_first_day(recipe, resume, ALONE)


def day_of(recipe: Loaded[Recipe]) -> datetime.date | None:
    return recipe.recipe.data.format.date


@pytest.fixture
def begun(tmp_path: Path) -> RunFolder:
    """A run that began on a day, with a complete checkpoint."""
    folder = RunFolder(tmp_path / "run")
    begin_record(folder, loaded(folder.path, f"data.format.date={BEGUN}"), 1, {"from_step": 0})
    (folder.path / "checkpoint-4").mkdir()
    (folder.path / "checkpoint-4" / COMPLETE).write_text("4\n")
    return folder


def test_a_resumed_run_has_the_day_on_which_it_began(begun: RunFolder) -> None:
    resume, resumed = resumed_in(begun, loaded(begun.path))
    assert day_of(resumed) == BEGUN
    open_run(begun, resume, resumed, ALONE)
    assert resume.checkpoint == begun.checkpoint(4)


def test_a_run_from_the_checkpoint_of_another_has_the_day_of_that(begun: RunFolder, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "other")
    _, resumed = resumed_in(folder, loaded(folder.path, f"run.resume={begun.checkpoint(4)}"))
    assert day_of(resumed) == BEGUN


def test_a_resumed_run_of_a_version_that_kept_no_day_still_fits_its_record(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    begin_record(folder, loaded(folder.path), 1, {"from_step": 0})
    (folder.path / "checkpoint-4").mkdir()
    (folder.path / "checkpoint-4" / COMPLETE).write_text("4\n")
    facts = folder.facts()
    del facts["recipe"]["data"]["format"]["date"]
    folder.add_facts({"recipe": facts["recipe"]})
    resume, resumed = resumed_in(folder, loaded(folder.path))
    assert day_of(resumed) is None
    open_run(folder, resume, resumed, ALONE)
    assert resume.checkpoint == folder.checkpoint(4)


def test_a_run_that_begins_has_today(tmp_path: Path) -> None:
    before = datetime.date.today()
    _, fresh = resumed_in(RunFolder(tmp_path / "run"), loaded(tmp_path / "run"))
    assert day_of(fresh) in {before, datetime.date.today()}


def test_a_day_of_the_recipe_is_never_replaced(tmp_path: Path) -> None:
    recipe = loaded(tmp_path / "run", "data.format.date=2026-02-03")
    assert resumed_in(RunFolder(tmp_path / "run"), recipe)[1] is recipe


def test_the_record_holds_the_day_and_the_prompts_of_the_resumed_run_write_it(begun: RunFolder) -> None:
    assert begun.facts()["recipe"]["data"]["format"]["date"] == "2026-07-31"
    again = load_recipe([f"recipe={begun.path / 'recipe.yaml'}"]).recipe.data.format
    tokenizer = templates.dated()
    section = again.model_copy(update={"name": "auto", "open": None, "close": None})
    assert "Today Date: 31 Jul 2026" in render_prompt("2+2?", tokenizer, think_format(section, tokenizer))
