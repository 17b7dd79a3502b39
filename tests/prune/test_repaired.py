"""What a plan says of repaired gaps."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from prune.repaired import Repair, describe_repairs, repairs_of

REPAIRS = (Repair(1, (2,), 0.5, 0.25, 100, 1e-3), Repair(3, (4, 5), 0.6912, 0.4137, 100, 1e-3))


def test_each_gap_is_told_with_its_errors() -> None:
    told = "linear map in layer 1 for 2 (error 0.5 to 0.25); linear map in layer 3 for 4, 5 (error 0.69 to 0.41)"
    assert describe_repairs(REPAIRS) == told


def test_repairs_of_a_record_are_told_alike() -> None:
    assert describe_repairs([asdict(each) for each in REPAIRS]) == describe_repairs(REPAIRS)


def test_layers_are_counted_in_another_model() -> None:
    found = REPAIRS[1].at((0, 2, 4, 6, 8, 10))
    assert (found.layer, found.removed, found.tokens) == (6, (8, 10), 100)


def test_a_record_with_other_fields_is_none() -> None:
    with pytest.raises(TypeError):
        repairs_of([{"layer": 1}])
