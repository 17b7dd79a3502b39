"""The choice of sizes against brute force and against another solver, and what it refuses."""

from __future__ import annotations

from itertools import product
from random import Random

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp

from prune.align import knapsack
from prune.align.knapsack import kept_energy, linear_values, select_dimensions
from recipes.errors import UserError

Case = tuple[list[list[int]], list[list[float]], list[list[int]], int]


def case(seed: int, matrices: int, most: int) -> Case:
    """Random costs with a common factor, and a budget between the least and the most."""
    random = Random(seed)
    step = random.choice([1, 1, 3, 8])
    costs = [[step * random.randint(0, 30) + row for _ in range(random.randint(1, most))] for row in range(matrices)]
    values = [[random.uniform(-1, 1) for _ in own] for own in costs]
    candidates = [list(range(100, 100 + len(own))) for own in costs]
    return candidates, values, costs, random.randint(sum(map(min, costs)), sum(map(max, costs)))


def brute_force(values: list[list[float]], costs: list[list[int]], budget: int) -> float:
    totals = zip(product(*values), product(*costs), strict=True)
    return max(sum(worth) for worth, paid in totals if sum(paid) <= budget)


def test_200_small_cases_equal_brute_force() -> None:
    for seed in range(200):
        candidates, values, costs, budget = case(seed, 1 + seed % 6, 5)
        chosen = select_dimensions(candidates, values, costs, budget)
        places = [own.index(size) for own, size in zip(candidates, chosen.chosen, strict=True)]
        assert chosen.cost == sum(own[i] for own, i in zip(costs, places, strict=True)) <= budget, seed
        assert chosen.value == pytest.approx(sum(own[i] for own, i in zip(values, places, strict=True))), seed
        assert chosen.value == pytest.approx(brute_force(values, costs, budget)), seed


@pytest.mark.parametrize("seed", range(4))
def test_larger_cases_equal_an_integer_program(seed: int) -> None:
    _, values, costs, budget = case(seed, 24, 7)
    sizes = [len(own) for own in costs]
    flat_values, flat_costs = np.concatenate(values), np.concatenate(costs)
    one_each = np.repeat(np.eye(len(sizes)), sizes, axis=1)
    result = milp(
        -flat_values,
        constraints=[LinearConstraint(one_each, 1, 1), LinearConstraint(flat_costs[None, :], ub=budget)],
        integrality=np.ones(sum(sizes)),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": 0},
    )
    chosen = select_dimensions([list(range(size)) for size in sizes], values, costs, budget)
    assert chosen.value == pytest.approx(-result.fun, abs=1e-6)


def test_the_budget_is_held_to_the_last_unit() -> None:
    """7 + 5 = 12 fits a budget of 12, and not one of 11."""
    arguments = ([[1, 2], [1, 2]], [[0.0, 1.0], [0.0, 1.0]], [[3, 7], [2, 5]])
    assert select_dimensions(*arguments, 12).chosen == (2, 2)
    assert select_dimensions(*arguments, 11).cost == 9  # 7 + 2: of one gain, the later matrix keeps the cheaper


def test_of_equal_values_the_cheaper_is_taken() -> None:
    assert select_dimensions([[64, 128]], [[1.0, 1.0]], [[64, 128]], 1000).chosen == (64,)


def test_a_matrix_with_one_candidate_takes_it() -> None:
    assert select_dimensions([[7]], [[-1.0]], [[50]], 50).chosen == (7,)


def test_no_matrices_cost_nothing() -> None:
    assert select_dimensions([], [], [], 0).chosen == ()


def test_a_budget_below_the_smallest_sizes_is_refused() -> None:
    with pytest.raises(UserError, match="budget: 9 is below 10, the total cost of the smallest"):
        select_dimensions([[1, 2], [1]], [[0, 1], [0]], [[4, 8], [6]], 9)


@pytest.mark.parametrize(
    ("candidates", "values", "costs", "message"),
    [
        ([[1]], [[1.0]], [], "are of 1, 1, 0 matrices"),
        ([[1], []], [[1.0], []], [[1], []], "matrix 1: 0 candidates"),
        ([[1, 2]], [[1.0]], [[1, 2]], "matrix 0: 2 candidates, 1 values"),
        ([[1]], [[float("nan")]], [[1]], "finite"),
        ([[1]], [[1.0]], [[-1]], "at least 0"),
    ],
)
def test_lists_that_contradict_each_other_are_refused(
    candidates: list[list[int]], values: list[list[float]], costs: list[list[int]], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        select_dimensions(candidates, values, costs, 10)


def test_a_table_that_would_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knapsack, "MOST_ENTRIES", 9)
    with pytest.raises(UserError, match="the table would have 10 entries.*coarser multiple"):
        select_dimensions([[0, 1], [0, 1]], [[0, 3], [0, 2]], [[0, 3], [0, 2]], 4)


def test_kept_energy_is_the_share_of_the_largest() -> None:
    assert kept_energy([1.0, 4.0, 3.0], [0, 1, 2, 3]) == pytest.approx([0, 4 / 8, 7 / 8, 1])


@pytest.mark.parametrize("energies", [[], [0.0, 0.0]])
def test_without_energy_nothing_is_lost(energies: list[float]) -> None:
    assert kept_energy(energies, [0, 1]) == [1.0, 1.0]


def test_the_linear_value_is_importance_times_parameters_beyond_the_unaligned_size() -> None:
    assert linear_values(2.0, [90, 100, 120], unaligned=100) == [-20.0, 0.0, 40.0]
