"""The last layers go."""

from __future__ import annotations

import pytest

from prune.methods.tail import Tail
from recipes.errors import UserError
from recipes.prune import TailPrune
from tests.prune.models import LAYERS, build


def tail(layers: int) -> Tail:
    return Tail(TailPrune(method="tail", layers=layers))


def test_the_last_layers_go() -> None:
    assert tail(2).choose(build("llama"), []).removed == (LAYERS - 2, LAYERS - 1)


def test_it_needs_no_traces() -> None:
    assert tail(2).calibration_traces == 0


@pytest.mark.parametrize("count", [6, 7])
def test_removing_everything_is_refused(count: int) -> None:
    with pytest.raises(UserError, match=f"{count} of 6 layers"):
        tail(count).check(6)
