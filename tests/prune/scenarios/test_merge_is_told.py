"""A merge is told wherever a plan is: in the run record and on the model card; so are channels and ranks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prune.channels import Channels
from prune.plan import PrunePlan, save
from runtime.run_folder import RunFolder
from train.card import model_card
from train.model import plan_facts

MERGE = PrunePlan(method="laco", layers=8, removed=(2, 4, 5), merged=((3, 4, 5), (1, 2)))


def test_the_run_record_has_the_merged_groups(tmp_path: Path) -> None:
    save(MERGE, tmp_path)
    assert (plan_facts(str(tmp_path)) or {})["merged"] == [[3, 4, 5], [1, 2]]


def test_the_run_record_of_a_plan_without_merges_has_no_such_key(tmp_path: Path) -> None:
    save(PrunePlan(method="tail", layers=8, removed=(7,)), tmp_path)
    assert "merged" not in (plan_facts(str(tmp_path)) or {})


NARROW = PrunePlan(
    method="by hand", layers=2, removed=(), channels=Channels(width=4, kept=((0, 1), (2, 3))), ranks={"a": 8}
)
LACO = "- pruned by laco: layers [2, 4, 5] of 8 removed; merged: 4, 5 into 3; 2 into 1"
BY_HAND = (
    "- pruned by by hand: layers [] of 2 removed; MLP channels: 2 of 4 in every layer (50.0%); low rank: matrices "
    "brought to rank 8: 1; stored multiplied out, so the file is as large as the unpruned one"
)


@pytest.mark.parametrize(("plan", "told"), [(MERGE, LACO), (NARROW, BY_HAND)], ids=["merged", "narrowed"])
def test_the_model_card_says_what_was_done(plan: PrunePlan, told: str, tmp_path: Path) -> None:
    save(plan, tmp_path)
    record = {
        "name": "run",
        "id": "1",
        "recipe": {"model": {"unpruned": "some/model"}, "adapter": {"method": "none"}},
        "data": {"traces_kept": 1, "hash": "00"},
        "prune_plan": plan_facts(str(tmp_path)),
    }
    (tmp_path / "run.json").write_text(json.dumps(record))
    (tmp_path / "recipe.yaml").write_text("seed: 1\n")
    model_card(RunFolder(tmp_path), tmp_path / "checkpoint-8", 0.0, tmp_path)
    assert told in (tmp_path / "README.md").read_text().splitlines()
