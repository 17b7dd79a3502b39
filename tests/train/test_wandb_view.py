"""The saved view of W&B: panels over keys that a run logs, and clear words where it cannot be made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from recipes.errors import UserError
from tests.train.test_tracked_values import sweep
from train.packages import installed
from train.tracked_values import recovery_values
from train.wandb_view import BUDGET_CURVE, COLUMNS, INTERVALS, RECOVERY, TABLES, ViewSection, main, place, workspace

HAS = installed("wandb_workspaces")


def logged() -> set[str]:
    """What a run logs of a sweep that has everything."""
    rows = sweep("run", 4, 0.5)
    rows[-1] |= {"gain_high": 0.5}
    rows[-1]["recovered_fraction"][-1]["high"] = 0.75
    return set(recovery_values(rows, "chain"))


def test_every_curve_of_recovery_and_every_column_is_logged() -> None:
    keys = {key for curves in (*RECOVERY, *INTERVALS) for key in (*curves.keys, curves.step)}
    assert keys | {f"recovery/{column}" for column in COLUMNS} <= logged()


def test_the_place_is_that_of_the_arguments_then_of_the_variables_of_wandb() -> None:
    variables = {"WANDB_ENTITY": "team", "WANDB_PROJECT": "theirs"}
    assert place(ViewSection(entity="me", project="mine"), variables) == ("me", "mine")
    assert place(ViewSection(), variables) == ("team", "theirs")
    assert place(ViewSection(entity="me"), {}) == ("me", "chainmend")


def test_without_an_entity_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_ENTITY", raising=False)
    with pytest.raises(UserError, match="^entity: missing; give entity=TEAM"):
        main(["project=p"])


@pytest.mark.skipif(HAS, reason="wandb-workspaces is installed")
def test_the_missing_package_is_named() -> None:
    with pytest.raises(UserError, match=r"needs wandb-workspaces.*pip install 'chainmend\[wandb-view\]'"):
        main(["entity=me"])


@pytest.fixture(scope="module")
def spec() -> Any:
    """The view as W&B's server would get it."""
    pytest.importorskip("wandb_workspaces")
    return json.loads(workspace("me", "p", "view")._to_model().model_dump_json(by_alias=True, exclude_none=True))


def panels(spec: Any) -> Iterator[Any]:
    for section in spec["spec"]["section"]["panelBankConfig"]["sections"]:
        yield from section["panels"]


def test_the_view_draws_the_curves_over_their_steps(spec: Any) -> None:
    lines = [each["config"] for each in panels(spec) if each["viewType"] == "Run History Line Plot"]
    drawn = {(key, each["xAxis"]) for each in lines for key in each["metrics"]}
    assert {(key, curves.step) for curves in (*RECOVERY, *INTERVALS) for key in curves.keys} <= drawn
    assert ("train/loss", "train/global_step") in drawn


def test_the_first_panel_is_the_chart_that_a_run_logs(spec: Any) -> None:
    import wandb

    chart = wandb.plot.line_series([[1]], [[0.5]], keys=["a"], title="", xname="budget")
    chart.set_key(BUDGET_CURVE)
    shown, logged = next(panels(spec))["config"], chart.spec.config_value["panel_config"]
    assert {key: shown[key] for key in ("panelDefId", "fieldSettings", "transform")} == {
        key: logged[key] for key in ("panelDefId", "fieldSettings", "transform")
    }
    assert f'"value":"{chart.spec.table_key}"' in json.dumps(shown["userQuery"], separators=(",", ":"))


def test_the_tables_are_there_and_runs_are_sorted_by_verdict(spec: Any) -> None:
    weave = [json.dumps(each["config"]) for each in panels(spec) if each["viewType"] == "Weave"]
    assert [f'"val": "{table}"' in text for table, text in zip(TABLES, weave, strict=True)] == [True, True]
    (runs,) = spec["spec"]["section"]["runSets"]
    assert runs["sort"]["keys"][0] == {
        "key": {"section": "summary", "name": "recovery/verdict_score"},
        "ascending": False,
    }
    assert runs["runFeed"]["columnOrder"][:2] == ["run:displayName", "summary:recovery/verdict"]


def test_a_view_that_no_server_takes_is_a_mistake_in_two_words(spec: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_API_KEY", "WANDB_ENTITY", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", "/dev/null")
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # whose key nobody has
    with pytest.raises(UserError, match="the view of me/chainmend was not saved: No API key"):
        main(["entity=me"])
