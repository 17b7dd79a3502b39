"""Models whose true accuracies are known, as means of correct thoughts by problem."""

import numpy as np

BUDGETS = (8, 16, 32, 64, 128)
UNPRUNED, PRUNED = (0.1, 0.3, 0.55, 0.85, 0.95), (0.1, 0.12, 0.15, 0.2, 0.22)


def model_means(accuracies, problems, seed):
    """[problems, budgets]: harder problems need more budget; half of a problem's luck is the problem's own."""
    own = np.random.default_rng(99).random((problems, 1))
    luck = np.where(
        np.random.default_rng(seed).random((problems, 1)) < 0.5,
        own,
        np.random.default_rng(seed + 50).random((problems, 1)),
    )
    return (luck < np.array(accuracies)).astype(float)
