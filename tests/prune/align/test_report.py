"""The words and shares of the report, worked out by hand."""

from __future__ import annotations

import pytest

from prune.align.matrices import Group, Matrices
from prune.align.report import (
    alignment_note,
    describe_matrices,
    is_aligned,
    largest_multiple,
    misaligned_share,
    verdict,
)

EVEN, ODD = Group("q", 128, 256, 3), Group("up", 100, 256, 1)


@pytest.mark.parametrize(("multiple", "aligned"), [(8, False), (4, True)])
def test_both_sides_must_be_multiples(multiple: int, aligned: bool) -> None:
    assert is_aligned(ODD, multiple) is aligned
    assert is_aligned(Group("down", 256, 100, 1), multiple) is aligned


def test_the_share_is_of_parameters() -> None:
    """100·256 of 3·128·256 + 100·256 parameters: 100 / 484"""
    assert misaligned_share((EVEN, ODD), 8) == pytest.approx(100 / 484)


def test_of_no_parameters_none_is_off() -> None:
    assert misaligned_share((), 8) == 0.0


@pytest.mark.parametrize(
    ("sizes", "multiple"), [((128, 256), 128), ((192,), 64), ((48,), 16), ((8, 64), 8), ((12,), 1)]
)
def test_the_largest_multiple_of_all_sizes(sizes: tuple[int, ...], multiple: int) -> None:
    assert largest_multiple(sizes) == multiple


@pytest.mark.parametrize(
    ("matrices", "line"),
    [
        (Matrices((EVEN,), head_sizes=(128,)), "aligned to 128"),
        (Matrices((EVEN,), head_sizes=(64,)), "aligned to 64; off multiples of 128: head size 64"),
        (Matrices((Group("q", 48, 64, 2),)), "aligned to 16; off multiples of 64: q [48, 64] × 2"),
        (
            Matrices((EVEN, ODD), head_sizes=(20,)),
            "not aligned: 20.7% of the parameters are off multiples of 8 (up [100, 256] × 1; head size 20)",
        ),
        (
            Matrices((Group("q lora_A", 6, 64, 1),), ranks=(6,)),
            "not aligned: 100.0% of the parameters are off multiples of 8 (q lora_A [6, 64] × 1; LoRA rank 6)",
        ),
    ],
)
def test_the_verdict_is_one_line(matrices: Matrices, line: str) -> None:
    assert verdict(matrices) == line


def test_the_report_ends_with_the_verdict_and_shows_each_share() -> None:
    lines = describe_matrices("some/folder", Matrices((EVEN, ODD), vocabulary=100)).splitlines()
    assert lines[0] == "folder     some/folder"
    assert lines[3].split() == ["up", "100", "256", "1", "no", "no", "no", "no"]
    assert lines[4].split() == ["parameters", "off", "20.7%", "20.7%", "20.7%", "20.7%"]
    assert lines[5].split() == ["vocabulary", "100", "no", "no", "no", "no"]
    assert lines[-1].startswith("verdict    not aligned")


def test_the_doctor_is_told_only_of_what_is_off_8() -> None:
    assert alignment_note(Matrices((EVEN, Group("k", 24, 64, 1)))) == ""
    assert "not multiples of 8" in alignment_note(Matrices((ODD,))) and "up [100, 256]" in alignment_note(
        Matrices((ODD,))
    )


def test_stored_sizes_of_quantised_weights_are_no_note_but_a_warning_in_the_report() -> None:
    packed = Matrices((ODD,), quantised=True)
    assert alignment_note(packed) == "" and "quantised" in describe_matrices("f", packed)
