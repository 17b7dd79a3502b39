"""Parallel scaling: the combined value of several thoughts per problem, as pass@k and maj@n."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from eval.numbers.groups import clustered
from eval.numbers.majority import majority_at_k
from eval.numbers.statistics import Array, accuracy_interval
from recipes.errors import UserError


def pass_at_k(correct_counts: Sequence[int], n: int, k: int) -> Array:
    """Unbiased pass@k of each problem, [problems]: 1 - C(n - c, k) / C(n, k) with c of n thoughts correct.

    As the product over i = n-c+1 … n of (1 - k/i), which does not overflow (arXiv 2107.03374, section 2.1).
    Raises UserError for k outside 1 … n, or a count outside 0 … n.
    """
    if not 1 <= k <= n:
        raise UserError(f"pass@{k} needs 1 <= k <= samples, got samples={n}; draw more samples or lower k")
    if any(not 0 <= c <= n for c in correct_counts):
        raise UserError(
            f"correct thoughts per problem must be 0 … {n}, got {min(correct_counts)} … {max(correct_counts)}"
        )
    return np.array(
        [1.0 if n - c < k else 1.0 - float(np.prod(1.0 - k / np.arange(n - c + 1, n + 1))) for c in correct_counts]
    )


def pass_rows(grades: Mapping[str, Sequence[bool]], groups: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """pass@k for k = 1, 2, 4 … and the largest number of thoughts that a problem has, from `grades` by problem.

    Each k is over the problems with at least k thoughts (`problems`), each with its own number of thoughts, with the
    95 % interval of their mean, clustered by problem, or by the `groups` of problems.
    """
    most = max(map(len, grades.values()))
    rows = []
    for k in sorted({2**power for power in range(most.bit_length())} | {most}):
        enough = {problem: thoughts for problem, thoughts in grades.items() if len(thoughts) >= k}
        values = np.array([pass_at_k([sum(group)], len(group), k)[0] for group in enough.values()])
        low, high = accuracy_interval(clustered(values, list(enough), groups))
        rows.append({"k": k, "value": float(values.mean()), "low": low, "high": high, "problems": len(values)})
    return rows


def majority_at_n(answers: Sequence[str], correct: Sequence[bool]) -> float:
    """maj@n of one problem in [0, 1]: whether the answer that most thoughts gave is correct. Ties are split evenly.

    Answers are grouped as in `majority.majority_at_k`: those graded correct are one candidate. A wrong thought without
    an answer (an empty string) does not vote; without any vote the score is 0.
    """
    return float(majority_at_k(answers, correct, [len(answers)])[0])
