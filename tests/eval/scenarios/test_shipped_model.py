"""What a sweep of the shipped reasoner shows: chains need thinking, the closed families do not."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from itertools import pairwise

import pytest

from recipes.engines import HFEngine
from runtime.ranks import ALONE
from tests.eval.worlds import nano, nano_spec, nano_suite, sweep_model


@pytest.fixture(scope="module")
def shipped() -> dict[str, dict[int, float]]:
    """Accuracy of the shipped model by suite and budget."""
    sizes = {"knowledge": 64, "shallow": 128, "chain": 256}
    spec = nano_spec([nano_suite(family, size) for family, size in sizes.items()], [16, 32, 64, 96, 128])
    spec = dataclasses.replace(spec, engine=HFEngine(batch_size=128))
    right: dict[str, dict[int, float]] = {}
    for family, thoughts in sweep_model(nano(), spec, ALONE).items():
        by_budget = defaultdict(list)
        for score in (score for thought in thoughts for score in thought.scores()):
            by_budget[score.budget].append(score.correct)
        right[family] = {budget: sum(flags) / sizes[family] for budget, flags in by_budget.items()}
    return right


def test_the_shipped_model_needs_thinking_for_chains(shipped: dict[str, dict[int, float]]) -> None:
    assert shipped["chain"][16] <= 0.30
    assert shipped["chain"][128] >= 0.90


def test_the_shipped_models_chain_accuracy_rises_with_every_budget(shipped: dict[str, dict[int, float]]) -> None:
    accuracies = [shipped["chain"][budget] for budget in (16, 32, 64, 96)]
    assert all(b - a > 0.1 for a, b in pairwise(accuracies))


@pytest.mark.parametrize("family", ["knowledge", "shallow"])
def test_the_shipped_model_knows_the_closed_families_without_thinking(
    shipped: dict[str, dict[int, float]], family: str
) -> None:
    assert shipped[family][16] >= 0.95
