"""How long the exact choice of sizes takes: `python -m tests.bench.knapsack`

224 matrices of the shapes of Llama-3-8B with made-up spectra (nothing is loaded, so the times are real and the
energies are not), at several multiples and budgets. Beside it the energy that GAC's linear value loses over the same
candidates.
"""

from __future__ import annotations

import time

import numpy as np

from prune.align.knapsack import kept_energy, linear_values, select_dimensions
from prune.align.ranks import rank_candidates, rank_costs

SHAPES = [(4096, 4096), (1024, 4096), (1024, 4096), (4096, 4096), (14336, 4096), (14336, 4096), (4096, 14336)]
LAYERS = 32


def spectra() -> list[np.ndarray]:
    """Energies that fall as a power of the index, another power for each matrix."""
    random = np.random.default_rng(0)
    powers = random.uniform(0.6, 2.2, size=LAYERS * len(SHAPES))
    sizes = [min(shape) for shape in SHAPES] * LAYERS
    return [np.arange(1, size + 1, dtype=float) ** -power for size, power in zip(sizes, powers, strict=True)]


def main() -> None:
    shapes, energies = SHAPES * LAYERS, spectra()
    dense = sum(rows * columns for rows, columns in shapes)
    print(f"{len(shapes)} matrices, {dense:,} parameters")
    print("multiple  share  candidates  CPU seconds  energy lost  by linear value  under the budget by")
    for multiple in (8, 16, 64, 128):
        candidates = [rank_candidates(rows, columns, multiple) for rows, columns in shapes]
        values = [kept_energy(own, sizes) for own, sizes in zip(energies, candidates, strict=True)]
        costs = [rank_costs(*shape, sizes) for shape, sizes in zip(shapes, candidates, strict=True)]
        for share in (0.85, 0.7):
            budget, start = int(share * dense), time.process_time()
            chosen = select_dimensions(candidates, values, costs, budget)
            seconds = time.process_time() - start
            count, lost = sum(map(len, candidates)), 1 - chosen.value / len(shapes)
            linear = [
                linear_values(own.sum() / (rows * columns), paid, 0)
                for own, paid, (rows, columns) in zip(energies, costs, shapes, strict=True)
            ]
            taken = select_dimensions(candidates, linear, costs, budget).chosen
            kept = [kept_energy(own, [rank])[0] for own, rank in zip(energies, taken, strict=True)]
            print(
                f"{multiple:8d}  {share:5.2f}  {count:10,d}  {seconds:11.2f}  {lost:11.3%}  "
                f"{1 - sum(kept) / len(kept):15.3%}  {budget - chosen.cost:,d} "
                f"({(budget - chosen.cost) / budget:.5%})"
            )


if __name__ == "__main__":
    main()
