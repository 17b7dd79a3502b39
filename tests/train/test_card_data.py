"""The metadata of a model card, from recipes and rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from train.card_data import card_data, data_sets, eval_results, licence_of

HUB = {"source": "hub", "id": "some/traces"}


def recipe(traces: dict[str, Any] | None = None, suite: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "model": {"unpruned": "big/model"},
        "data": {"traces": traces or HUB},
        "sweep": {"suites": [{"name": "chain", **(suite or {"source": "nano"})}]},
    }


def rows(suite: str = "chain") -> list[dict[str, Any]]:
    common = {"model": "run", "step": 8, "suite": suite}
    at_budgets = [
        common | {"budget": budget, "accuracy": value, "low": value - 0.125, "high": value + 0.125}
        for budget, value in ((0, 0.25), (2048, 0.5))
    ]
    return [*at_budgets, common | {"budget": None, "verdict": "UNDECIDED"}]


def test_the_data_sets_of_a_mixture_are_named_once() -> None:
    parts = [{"weight": 1, "traces": each} for each in (HUB, HUB, {"source": "jsonl", "path": "/data/rows.jsonl"})]
    assert data_sets(recipe({"source": "mixture", "parts": parts})) == ["some/traces"]


def test_every_budget_is_a_figure_with_its_interval() -> None:
    found = [(each.metric_name, each.metric_value) for each in eval_results(rows(), 8, recipe())]
    assert found == [
        ("accuracy with thinking off, 95 % interval 0.125 to 0.375", 0.25),
        ("accuracy within 2,048 thinking tokens, 95 % interval 0.375 to 0.625", 0.5),
    ]


def test_a_checkpoint_that_was_not_swept_has_no_figures_of_another_one() -> None:
    assert eval_results(rows(), 9, recipe()) == []


@pytest.mark.parametrize(
    ("name", "suite", "origin"),
    [
        ("chain", {"source": "nano"}, "nano"),
        ("chain-confirm", {"source": "hub", "id": "some/problems"}, "some/problems"),
        ("chain", {"source": "jsonl", "path": "/data/mine.jsonl"}, "jsonl"),
        ("aime24", {"source": "named", "name": "aime24", "path": "/data/aime.jsonl"}, "named"),
    ],
)
def test_a_figure_names_where_its_problems_come_from(name: str, suite: dict[str, Any], origin: str) -> None:
    assert {each.dataset_type for each in eval_results(rows(name), 8, recipe(suite=suite))} == {origin}


def test_a_named_suite_is_its_data_set_on_the_hub() -> None:
    named = recipe(suite={"source": "named", "name": "gsm8k"})
    assert {each.dataset_type for each in eval_results(rows("gsm8k"), 8, named)} == {"openai/gsm8k"}


def test_without_a_card_at_hand_no_licence_is_stated() -> None:
    assert "license" not in card_data(recipe(), "mine", []).to_dict()


@pytest.mark.parametrize(
    ("card", "licence"),
    [("---\nlicense: apache-2.0\n---\n", "apache-2.0"), ("no metadata", None), ("---\na: [\n---\n", None)],
)
def test_the_licence_is_that_of_the_card_in_the_local_cache(
    card: str, licence: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = tmp_path / "models--big--model" / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "README.md").write_text(card)
    refs = tmp_path / "models--big--model" / "refs"
    refs.mkdir()
    (refs / "main").write_text("0" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert licence_of("big/model", "model") == licence
