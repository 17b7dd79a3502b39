"""The loss is the token-weighted mean over the global batch, whatever the ranks, the accumulation and the packing.

One step of plain gradient descent with learning rate 1 moves the weights by the gradient, which is held against that of
one big batch by an independent road.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from recipes.loader import load
from tests.train.cells import CLIP, CLIPPED, DESCENT, DESCENTS
from tests.train.global_gradient import gradient_by_hand
from tests.train.runs import small, weights

pytestmark = pytest.mark.slow

ALONE = {
    "one batch": ("trainer.per_device_train_batch_size=12",),
    "accumulated": ("trainer.per_device_train_batch_size=5", "trainer.gradient_accumulation_steps=3"),
    "packed": ("trainer.per_device_train_batch_size=1", "trainer.gradient_accumulation_steps=16", "data.packing=true"),
}


@pytest.fixture(scope="module")
def wanted(full: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    folder = tmp_path_factory.mktemp("by_hand")
    return gradient_by_hand(load(small("full", folder, folder, "data.traces.size=12")), full / "pruned")


def moved(folder: Path) -> dict[str, torch.Tensor]:
    """Weights before the one step minus those after it."""
    before, after = weights(folder / "pruned"), weights(folder / "checkpoint-1")
    return {name: before[name] - after[name] for name in before}


def check(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> None:
    assert found.keys() >= wanted.keys()
    size = max(float(gradient.abs().max()) for gradient in wanted.values())
    assert max(float((found[name] - wanted[name]).abs().max()) for name in wanted) < 1e-5 * size


@pytest.mark.parametrize("name", ALONE)
def test_on_one_rank(name: str, here: Callable[..., Path], wanted: dict[str, torch.Tensor]) -> None:
    check(moved(here("full", *DESCENT, "trainer.save_steps=1", "sweep.every_steps=1000", *ALONE[name])), wanted)


@pytest.mark.parametrize("name", DESCENTS)
def test_on_two_ranks(name: str, cell_of: Callable[[int, str], Path], wanted: dict[str, torch.Tensor]) -> None:
    check(moved(cell_of(2, name)), wanted)


@pytest.mark.parametrize("name", CLIPPED)
def test_a_clipped_gradient_has_the_length_that_is_allowed(
    name: str, cell_of: Callable[[int, str], Path], wanted: dict[str, torch.Tensor]
) -> None:
    found = moved(cell_of(2, name))
    lengths = [sum(float((part[key] ** 2).sum()) for key in wanted) ** 0.5 for part in (wanted, found)]
    assert lengths[0] > 10 * CLIP
    assert lengths[1] == pytest.approx(CLIP, rel=1e-3)
