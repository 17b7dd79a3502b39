"""The hooks of a run, as they are handed to the trainer."""

from __future__ import annotations

from pathlib import Path

from data_prep.models import load_model
from recipes.loader import load_recipe
from recipes.sweep import VerdictSection
from runtime.ranks import ALONE
from tests.train.hooks.test_hook import ORDER
from tests.train.runs import run_in, small, trainer_of
from train.hooks.hook import Hook
from train.hooks.of_run import make_hooks
from train.hooks.recorder import Looks, SweepRecorder
from train.inputs import read_inputs
from train.references import References


def test_a_run_calls_its_hooks_in_this_order(tmp_path: Path) -> None:
    """Those of the trainer itself come before; that of other trackers, and the universal one
    after a resume with other ranks, are not there unless they are needed."""
    keys = ("zero.stage=0", "trainer.disable_tqdm=false")
    recipe = load_recipe(small("on_policy", tmp_path, tmp_path, *keys)).recipe
    trainer = trainer_of(recipe, tmp_path, load_model(recipe.model.unpruned, recipe.model))
    recorder = SweepRecorder(run_in(tmp_path), References({}, {}), VerdictSection(suite="chain"), Looks(2, 8))
    hooks = make_hooks(trainer, read_inputs(recipe, ALONE), recipe, recorder, None)
    hooks.install(trainer)
    installed = [type(hook).__name__ for hook in trainer.callback_handler.callbacks if isinstance(hook, Hook)]
    assert installed == ORDER[:-2]
