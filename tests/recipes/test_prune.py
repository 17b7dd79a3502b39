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
        {"method": "width"},
        {"method": "width", "width": 128, "share": 0.5},
        {"method": "width", "share": 1.0},
        {"method": "low_rank", "share": 0.0},
    ],
    ids=[
        *("no layers", "none named", "no traces", "key of another method", "no method"),
        *("no width", "two widths", "all channels", "no parameters"),
    ],
)
def test_a_section_that_no_method_can_carry_out_is_refused(section: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SECTION.validate_python(section)


@pytest.mark.parametrize(("width", "near"), [(100, "64 or 128"), (10, "64")])
def test_a_width_that_is_no_multiple_is_refused_with_those_near_it(width: int, near: str) -> None:
    with pytest.raises(
        ValidationError, match=f"prune.width={width}: not a multiple of prune.multiple=64; write {near}, "
    ):
        SECTION.validate_python({"method": "width", "width": width})


def test_a_width_is_any_multiple_of_what_is_asked_for() -> None:
    assert SECTION.validate_python({"method": "width", "width": 100, "multiple": 4}).model_dump()["width"] == 100
