"""Ranks that save something, and their costs, by hand."""

from __future__ import annotations

from prune.align.ranks import rank_candidates, rank_costs


def test_only_ranks_that_save_parameters_and_the_full_one_are_candidates() -> None:
    """16 × 32: factors of rank 10 have 480 parameters, of rank 11 already 528, the matrix has 512."""
    assert rank_candidates(16, 32, 5) == [5, 10, 16]


def test_a_rank_that_costs_as_much_as_the_matrix_saves_nothing() -> None:
    """4 × 4: factors of rank 2 have 16 parameters, as the matrix has."""
    assert rank_candidates(4, 4, 2) == [4]


def test_a_matrix_smaller_than_the_multiple_stays_dense() -> None:
    assert rank_candidates(8, 64, 64) == [8]


def test_costs_are_those_of_two_factors_or_of_the_matrix() -> None:
    assert rank_costs(16, 32, [5, 10, 16]) == [240, 480, 512]
