"""The named layers go."""

from __future__ import annotations

import pytest

from prune.methods.layers import Layers
from recipes.errors import UserError
from recipes.prune import LayersPrune
from tests.prune.models import build


def named(*layers: int) -> Layers:
    return Layers(LayersPrune(method="layers", remove=list(layers)))


def test_named_layers_are_sorted() -> None:
    assert named(4, 1).choose(build("llama"), []).removed == (1, 4)


def test_count_is_that_of_the_named_layers() -> None:
    assert named(4, 1).count == 2


@pytest.mark.parametrize("index", [-1, 6])
def test_layer_outside_the_model_is_refused(index: int) -> None:
    with pytest.raises(UserError, match="layers 0 to 5"):
        named(0, index).check(6)


def test_layer_named_twice_is_refused() -> None:
    with pytest.raises(UserError, match="twice"):
        named(1, 1).check(6)


def test_naming_every_layer_is_refused() -> None:
    with pytest.raises(UserError, match="2 of 2 layers"):
        named(0, 1).check(2)
