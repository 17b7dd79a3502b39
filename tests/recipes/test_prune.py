"""The sections of pruning methods."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from recipes.prune import (
    BlockDistancePrune,
    LaCoPrune,
    LayersPrune,
    OwnThoughtsCalibration,
    PerplexityPrune,
    PruneSection,
    ShortGPTPrune,
    TailPrune,
    TextCalibration,
    TracesCalibration,
)

SECTION: TypeAdapter[PruneSection] = TypeAdapter(PruneSection)


def test_the_method_decides_the_section() -> None:
    texts = (
        {"method": "tail", "layers": 1},
        {"method": "layers", "remove": [3]},
        {"method": "shortgpt", "layers": 2},
        {"method": "perplexity", "layers": 4, "block": 2},
        {"method": "block_distance", "layers": 2},
        {"method": "laco"},
    )
    sections = [TailPrune, LayersPrune, ShortGPTPrune, PerplexityPrune, BlockDistancePrune, LaCoPrune]
    assert [type(SECTION.validate_python(text)) for text in texts] == sections


def test_the_source_decides_on_what_is_measured() -> None:
    sources = ({"source": "traces"}, {"source": "text", "path": "t.txt"}, {"source": "own_thoughts"})
    kinds = [ShortGPTPrune.model_validate({"method": "shortgpt", "layers": 1, "calibration": each}) for each in sources]
    found = [type(section.calibration) for section in kinds]
    assert found == [TracesCalibration, TextCalibration, OwnThoughtsCalibration]


@pytest.mark.parametrize(
    "section",
    [
        {"method": "tail", "layers": 0},
        {"method": "layers", "remove": []},
        {"method": "shortgpt", "layers": 1, "calibration_traces": 0},
        {"method": "tail", "layers": 1, "calibration_traces": 8},
        {"method": "no-such-method", "layers": 1},
        {"method": "perplexity", "layers": 3, "block": 2},
        {"method": "block_distance", "layers": 2, "tokens": "labelled"},
        {"method": "laco", "threshold": 1},
        {"method": "laco", "layers_merged": 1},
        {"method": "tail", "layers": 1, "calibration": {"source": "traces"}},
        {"method": "laco", "repair": "linear"},
        {"method": "tail", "layers": 1, "repair": "quadratic"},
        {"method": "shortgpt", "layers": 1, "calibration": {"source": "text"}},
        {"method": "shortgpt", "layers": 1, "calibration": {"source": "traces", "path": "t.txt"}},
        {"method": "width"},
        {"method": "width", "width": 128, "share": 0.5},
        {"method": "width", "share": 1.0},
        {"method": "low_rank", "share": 0.0},
    ],
    ids=[
        *("no layers", "none named", "no traces", "key of another method", "no method", "half a block"),
        *("tokens of another method", "no cosine is above 1", "a group of one", "nothing is measured"),
        *("a merge leaves no gap", "no such repair"),
        *("text without a file", "a file of traces"),
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


def test_a_repair_is_measured_by_methods_that_measure_nothing_else() -> None:
    text = {"method": "tail", "layers": 1, "repair": "linear", "calibration_traces": 8}
    assert (
        SECTION.validate_python({**text, "calibration": {"source": "own_thoughts"}}).model_dump()["repair"] == "linear"
    )


def test_calibration_without_a_use_is_refused_with_the_reason() -> None:
    with pytest.raises(ValidationError, match="this method measures nothing"):
        SECTION.validate_python({"method": "tail", "layers": 1, "calibration_traces": 8})
