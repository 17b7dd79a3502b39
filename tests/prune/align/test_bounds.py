"""What is left out is in no best choice."""

from __future__ import annotations

from itertools import product
from random import Random

from prune.align.bounds import promising


def test_every_best_choice_survives() -> None:
    for seed in range(100):
        random = Random(seed)
        costs = [[random.randint(0, 20) for _ in range(4)] for _ in range(4)]
        values = [[random.uniform(0, 1) for _ in own] for own in costs]
        budget = random.randint(sum(map(min, costs)), sum(map(max, costs)))
        choices = [
            places
            for places in product(range(4), repeat=4)
            if sum(own[i] for own, i in zip(costs, places, strict=True)) <= budget
        ]
        best = max(choices, key=lambda places: sum(own[i] for own, i in zip(values, places, strict=True)))
        kept = promising(values, costs, budget)
        assert all(i in own for i, own in zip(best, kept, strict=True)), seed


def test_what_costs_more_and_is_worth_less_goes() -> None:
    assert promising([[5.0, 1.0]], [[1, 2]], 10) == [[0]]


def test_far_sizes_of_many_matrices_go() -> None:
    """Each of 50 matrices has the root of its size as value; a budget of 10 each makes sizes about 10 the best."""
    sizes = list(range(100))
    kept = promising([[size**0.5 for size in sizes]] * 50, [sizes] * 50, 500)
    assert all(10 in own and len(own) < 10 for own in kept)


def test_of_no_matrices_nothing_is_kept() -> None:
    assert promising([], [], 0) == []
