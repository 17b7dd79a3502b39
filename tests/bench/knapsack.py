"""How long the exact choice of sizes takes: `python tests/bench/knapsack.py`

224 matrices of the shapes of Llama-3-8B with made-up spectra (nothing is loaded, so the times are real and the
energies are not), at several multiples and budgets; against rounding each matrix alone to the same share.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from prune.align.knapsack import kept_energy, select_dimensions
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
    print("multiple  share  candidates  CPU seconds  energy lost  under the budget by")
    for multiple in (8, 16, 64, 128):
        candidates = [rank_candidates(rows, columns, multiple) for rows, columns in shapes]
        values = [kept_energy(own, sizes) for own, sizes in zip(energies, candidates, strict=True)]
        costs = [rank_costs(*shape, sizes) for shape, sizes in zip(shapes, candidates, strict=True)]
        for share in (0.85, 0.7):
            budget, start = int(share * dense), time.process_time()
            chosen = select_dimensions(candidates, values, costs, budget)
            seconds = time.process_time() - start
            count, lost = sum(map(len, candidates)), 1 - chosen.value / len(shapes)
            print(
                f"{multiple:8d}  {share:5.2f}  {count:10,d}  {seconds:11.2f}  {lost:11.3%}  {budget - chosen.cost:,d} "
                f"({(budget - chosen.cost) / budget:.5%})"
            )


if __name__ == "__main__":
    main()
