"""Merges, repairs, earlier cuts, channels and ranks are told wherever a plan is: run record and model card."""

from __future__ import annotations

import json
from pathlib import Path

from prune.channels import Channels
from prune.plan import PrunePlan, compose, save
from prune.repaired import Repair
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


def card_of(plan: PrunePlan, tmp_path: Path) -> list[str]:
    """The lines of the model card of a run on a model that was cut by the plan."""
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
    return (tmp_path / "README.md").read_text().splitlines()


def test_the_model_card_says_what_was_merged_into_what(tmp_path: Path) -> None:
    told = "- pruned by laco: layers [2, 4, 5] of 8 removed; merged: 4, 5 into 3; 2 into 1"
    assert told in card_of(MERGE, tmp_path)


def test_the_model_card_says_what_layers_lost_that_stay(tmp_path: Path) -> None:
    told = (
        "- pruned by by hand: layers [] of 2 removed; MLP channels: 2 of 4 in every layer (50.0%); low rank: matrices "
        "brought to rank 8: 1; stored multiplied out, so the file is as large as the unpruned one"
    )
    assert told in card_of(NARROW, tmp_path)


def test_the_model_card_says_in_which_cuts_layers_went(tmp_path: Path) -> None:
    first = PrunePlan(method="shortgpt", layers=8, removed=(3,))
    twice = compose(first, PrunePlan(method="tail", layers=7, removed=(5, 6)))
    told = "- pruned by tail: layers [3, 6, 7] of 8 removed; in 2 cuts: shortgpt [3], then tail [6, 7]"
    assert told in card_of(twice, tmp_path)


REPAIRED = PrunePlan(method="tail", layers=8, removed=(6, 7), repairs=(Repair(5, (6, 7), 0.5, 0.25, 9, 1e-3),))


def test_the_run_record_has_the_repairs(tmp_path: Path) -> None:
    save(REPAIRED, tmp_path)
    told = {"layer": 5, "removed": (6, 7), "error_before": 0.5, "error_after": 0.25, "tokens": 9, "ridge": 1e-3}
    assert (plan_facts(str(tmp_path)) or {})["repairs"] == [told]


def test_the_model_card_says_which_gaps_were_repaired(tmp_path: Path) -> None:
    told = "- pruned by tail: layers [6, 7] of 8 removed; linear map in layer 5 for 6, 7 (error 0.5 to 0.25)"
    assert told in card_of(REPAIRED, tmp_path)
