"""A moment of a run that is measured: which keys make it short, what its rows say, and how near it is to a real run."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.errors import UserError
from recipes.loader import load_recipe
from tests.train.runs import need_devices, rows, small
from tests.train.starts import start_run
from train.plan.measure import measure, short_run, small_budgets, sweep_speed, training_speed, without

WITHIN = 2.5
"""how far a measured speed may be from the real run's: both train tiny steps on a machine that others use too"""


def test_the_first_step_does_not_count() -> None:
    steps = [{"tokens": 10, "seconds": 9.0}, {"tokens": 30, "seconds": 1.0}, {"tokens": 50, "seconds": 3.0}]
    assert training_speed(steps) == 80 / 4


def test_a_sweeps_tokens_are_each_thought_once_and_all_its_answers() -> None:
    def row(model: str, suite: str, budget: int | None, spent: float) -> dict[str, object]:
        size = {"problems": 3, "samples": 2, "seconds": 4.0, "answer_tokens": 1.0}
        return {"model": model, "suite": suite, "budget": budget, "tokens_spent": spent, **size}

    swept = [row("run", "a", 8, 8.0), row("run", "a", 16, 10.0), row("run", "b", 16, 5.0), row("run", "a", None, 0.0)]
    # six thoughts of 10 tokens with two answers, six of 5 with one, in 4 seconds
    assert sweep_speed([row("pruned", "a", 16, 99.0), *swept]) == (6 * 12 + 6 * 6) / 4


def test_arguments_that_the_short_run_sets_are_left_out() -> None:
    given = ["recipe=r.yaml", "trainer.max_steps=90", "early_stop.metric=x", "sweep.budgets=[1]", "trainer.seed=3"]
    assert without(given, ["trainer.max_steps=4", "early_stop=null", "sweep.budgets=[2]"]) == [given[0], given[4]]


def test_a_short_run_keeps_the_batches_of_its_recipe_and_caps_its_sweep() -> None:
    name = ["recipe=lora_recovery.yaml", "keep_best=sweep/chain/gain", "sweep.budgets=[16,256,512]"]
    recipe = load_recipe(name).recipe
    keys = short_run(recipe.sweep, [30, 128, 256])
    short = load_recipe([*without(name, keys), *keys]).recipe
    assert (short.sweep.budgets, [suite.size for suite in short.sweep.suites]) == ([16, 256], [30, 64, 64])
    assert (short.trainer["max_steps"], short.keep_best, short.export.enabled) == (4, None, False)
    changed = {"max_steps", "logging_steps", "save_strategy", "save_steps"}
    assert {k: v for k, v in short.trainer.items() if k not in changed} == {
        k: v for k, v in recipe.trainer.items() if k not in changed
    }
    assert (short.model, short.data, short.zero, short.adapter) == (
        *(recipe.model, recipe.data, recipe.zero, recipe.adapter),
    )


@pytest.mark.parametrize(
    ("budgets", "small"), [("[16,256,512]", [16, 256]), ("[512,1024]", [256]), ("[0,1024]", [0, 256])]
)
def test_a_small_sweep_thinks_a_little_whatever_the_budgets_are(budgets: str, small: list[int]) -> None:
    recipe = load_recipe(["recipe=lora_recovery.yaml", f"sweep.budgets={budgets}"]).recipe
    assert small_budgets(recipe.sweep) == small


@pytest.mark.slow
def test_a_moment_on_this_machine_is_near_the_real_run(tmp_path: Path) -> None:
    arguments = small("full", tmp_path / "run", tmp_path / "cache", "trainer.max_steps=20", "trainer.logging_steps=1")
    measured = measure(arguments, ranks=1)
    assert start_run(arguments).end().code == 0
    real = training_speed(rows(tmp_path / "run" / "metrics.jsonl"))
    assert real / WITHIN < measured.tokens_per_second < real * WITHIN
    assert measured.sweep_tokens_per_second > 0


@pytest.mark.slow
def test_two_ranks_are_measured_together(tmp_path: Path) -> None:
    need_devices(2)
    arguments = small("lora", tmp_path / "run", tmp_path / "cache", "trainer.per_device_train_batch_size=4")
    assert measure(arguments, ranks=2).tokens_per_second > 0


@pytest.mark.slow
def test_a_run_that_fails_is_named(tmp_path: Path) -> None:
    arguments = small("full", tmp_path / "run", tmp_path / "cache", "data.max_length_tokens=8")
    with pytest.raises(UserError, match="measure=true: the run failed with code 2"):
        measure(arguments, ranks=1)
