"""The sections of pruning methods."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from recipes.prune import LayersPrune, PruneSection, ShortGPTPrune, TailPrune

SECTION: TypeAdapter[PruneSection] = TypeAdapter(PruneSection)


def test_the_method_decides_the_section() -> None:
    texts = ({"method": "tail", "layers": 1}, {"method": "layers", "remove": [3]}, {"method": "shortgpt", "layers": 2})
    assert [type(SECTION.validate_python(text)) for text in texts] == [TailPrune, LayersPrune, ShortGPTPrune]


@pytest.mark.parametrize(
    "section",
    [
        {"method": "tail", "layers": 0},
        {"method": "layers", "remove": []},
        {"method": "shortgpt", "layers": 1, "calibration_traces": 0},
        {"method": "tail", "layers": 1, "calibration_traces": 8},
        {"method": "no-such-method", "layers": 1},
    ],
    ids=["no layers", "none named", "no traces", "key of another method", "no method"],
)
def test_a_section_that_no_method_can_carry_out_is_refused(section: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SECTION.validate_python(section)
