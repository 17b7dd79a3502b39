"""Which layers go: tail, named, least influence."""

from __future__ import annotations

import pytest

from prune.select import choose, select_by_influence, select_layers, select_tail
from recipes.errors import UserError
from recipes.schema import LayersPrune, PruneSection, ShortGPTPrune, TailPrune

INFLUENCE = [0.9, 0.1, 0.3, 0.1, 0.05, 0.8]


def test_tail_removes_the_last_layers() -> None:
    assert select_tail(6, 2) == (4, 5)


def test_named_layers_are_sorted() -> None:
    assert select_layers(6, [4, 1]) == (1, 4)


def test_least_influence_goes_first() -> None:
    assert select_by_influence(INFLUENCE, 3) == (1, 3, 4)


def test_of_equal_influence_the_earlier_layer_goes() -> None:
    assert select_by_influence(INFLUENCE, 2) == (1, 4)


def test_first_and_last_layer_are_eligible() -> None:
    assert select_by_influence([0.0, 0.5, 0.5, 0.1], 2) == (0, 3)


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (TailPrune(method="tail", layers=1), (5,)),
        (LayersPrune(method="layers", remove=[3, 0]), (0, 3)),
        (ShortGPTPrune(method="shortgpt", layers=1), (4,)),
    ],
)
def test_section_decides_the_method(section: PruneSection, expected: tuple[int, ...]) -> None:
    assert choose(section, 6, INFLUENCE) == expected


@pytest.mark.parametrize("count", [0, 6, 7])
def test_removing_nothing_or_everything_is_refused(count: int) -> None:
    with pytest.raises(UserError, match=f"{count} of 6 layers"):
        select_tail(6, count)


def test_all_layers_by_influence_is_refused() -> None:
    with pytest.raises(UserError, match="6 of 6 layers"):
        select_by_influence(INFLUENCE, 6)


@pytest.mark.parametrize("index", [-1, 6])
def test_layer_outside_the_model_is_refused(index: int) -> None:
    with pytest.raises(UserError, match="layers 0 to 5"):
        select_layers(6, [0, index])


def test_layer_named_twice_is_refused() -> None:
    with pytest.raises(UserError, match="twice"):
        select_layers(6, [1, 1])
