"""The shipped W&B sweep: what an agent of W&B makes of it is a command of ours, and a sound recipe."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from recipes.agent import without_dashes
from recipes.loader import load
from recipes.paths import ROOT
from recipes.schema import LoraAdapter
from train.tracked_values import recovery_values

FILE = ROOT / "launch" / "wandb_sweep.yaml"


@pytest.fixture(scope="module")
def sweep() -> dict[str, Any]:
    """As W&B reads it."""
    found: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return found


def command_line(sweep: dict[str, Any], chosen: dict[str, Any]) -> list[str]:
    """The words of the command after the program, with `${args}` as an agent writes them (W&B's documentation)."""
    words = [word for part in sweep["command"] for word in (chosen_words(chosen) if part == "${args}" else [str(part)])]
    return words[words.index("${program}") + 1 :]


def chosen_words(chosen: dict[str, Any]) -> list[str]:
    return [f"--{key}={value}" for key, value in chosen.items()]


def drawn(sweep: dict[str, Any]) -> dict[str, Any]:
    """A value for each parameter: its own, the first of its list, or the least."""
    return {key: first_of(parameter) for key, parameter in sweep["parameters"].items()}


def first_of(parameter: dict[str, Any]) -> Any:
    if "values" in parameter:
        return parameter["values"][0]
    return parameter["value"] if "value" in parameter else parameter["min"]


def test_it_starts_our_script_by_deepspeed(sweep: dict[str, Any]) -> None:
    assert sweep["command"][:2] == ["${env}", "deepspeed"]
    assert (ROOT / sweep["program"]).is_file()


def test_its_command_is_a_sound_recipe(sweep: dict[str, Any]) -> None:
    chosen = drawn(sweep)
    arguments = without_dashes(["--local_rank=0", *command_line(sweep, chosen)], {"WANDB_SWEEP_ID": "s"})
    recipe = load(arguments)
    assert isinstance(recipe.adapter, LoraAdapter)
    assert (recipe.adapter.r, recipe.adapter.rank_stabilised) == (8, True)
    assert recipe.trainer["learning_rate"] == chosen["trainer.learning_rate"] == 0.0001


def test_its_numbers_are_numbers_to_wandb(sweep: dict[str, Any]) -> None:
    """YAML 1.1, as W&B reads it, takes 1e-4 for text."""
    rate = sweep["parameters"]["trainer.learning_rate"]
    assert all(isinstance(rate[end], float) for end in ("min", "max"))


def test_its_target_is_a_number_that_runs_log(sweep: dict[str, Any]) -> None:
    of = {"model": "run", "step": 4, "suite": "chain"}
    at_budget = {**of, "budget": 16, "accuracy": 0.5, "low": 0.4, "high": 0.6}
    whole = {**of, "budget": None, "gain_per_doubling": 0.1, "gain_low": 0.0, "gain_high": 0.2, "termination": 1.0}
    assert sweep["metric"]["name"] in recovery_values([at_budget, whole], "chain")
    assert sweep["metric"]["goal"] == "maximize"
