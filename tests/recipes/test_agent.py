"""What `wandb agent` adds to a command: dashes before arguments, and the run's id."""

from __future__ import annotations

import pytest

from recipes.agent import agents_run_id, without_dashes
from recipes.errors import UserError

AGENT = {"WANDB_SWEEP_ID": "sweep", "WANDB_RUN_ID": "ab12cd34"}


def test_an_agents_arguments_lose_their_dashes() -> None:
    given = ["recipe=a.yaml", "--trainer.learning_rate=0.001", "--adapter.r=8", "data.format.open=--x=y"]
    assert without_dashes(given, AGENT) == [
        "recipe=a.yaml",
        "trainer.learning_rate=0.001",
        "adapter.r=8",
        "data.format.open=--x=y",
    ]


@pytest.mark.parametrize("argument", ["--local_rank=0", "--local-rank=1", "--help", "-h", "--dry_run"])
def test_the_launchers_own_and_what_is_no_key_stay(argument: str) -> None:
    assert without_dashes([argument], AGENT) == [argument]


def test_without_an_agent_a_flag_stays_a_flag() -> None:
    assert without_dashes(["--adapter.r=8"], {"WANDB_RUN_ID": "ab12cd34"}) == ["--adapter.r=8"]


@pytest.mark.parametrize(
    ("environment", "run_id"), [(AGENT, "ab12cd34"), ({"WANDB_RUN_ID": "ab12cd34"}, None), ({}, None)]
)
def test_the_run_id_is_an_agents_alone(environment: dict[str, str], run_id: str | None) -> None:
    assert agents_run_id(environment) == run_id


def test_an_id_that_could_not_name_a_folder_is_refused() -> None:
    with pytest.raises(UserError, match=r"WANDB_RUN_ID=\.\./x: must be 1 to 128 letters"):
        agents_run_id({**AGENT, "WANDB_RUN_ID": "../x"})
