"""Majority votes: the accuracy of a vote among k of a problem's thoughts, for every k up to all of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from eval.numbers.groups import clustered
from eval.numbers.statistics import Array, accuracy_interval
from recipes.errors import UserError

Votes = tuple[Sequence[str], Sequence[bool]]
"""for one problem: each thought's vote, and whether it is correct"""


def majority_at_k(answers: Sequence[str], correct: Sequence[bool], ks: Sequence[int]) -> Array:
    """Unbiased maj@k of one problem for each of `ks`, [ks] in [0, 1]: the mean over all subsets of k of its thoughts.

    answers: the texts by which thoughts are grouped, one candidate per distinct text; thoughts graded correct are one
    candidate whatever their text. A wrong thought with an empty text does not vote; a subset without votes scores 0;
    ties are split evenly. Raises UserError for a k outside 1 … n. Exact up to rounding, for up to 1,000 thoughts.
    """
    n, right = len(answers), sum(correct)
    if any(not 1 <= k <= n for k in ks):
        raise UserError(f"maj@k needs 1 <= k <= samples, got k={min(ks)} … {max(ks)} and samples={n}")
    votes = Counter(answer for answer, grade in zip(answers, correct, strict=True) if answer and not grade)
    blanks = n - right - votes.total()
    won = _subsets_won(right, tuple(sorted(votes.values(), reverse=True)), blanks)
    return np.array([won[k] / math.comb(n, k) for k in ks])


@lru_cache(maxsize=4096)  # many problems have the same counts
def _subsets_won(right: int, wrong: tuple[int, ...], blanks: int) -> tuple[float, ...]:
    """By size, the number of subsets that the right candidate wins; a tie with i others counts 1 / (i + 1).

    right, wrong, blanks: votes of the right candidate, of each wrong one, and thoughts that do not vote.
    """
    n = right + sum(wrong) + blanks
    won = np.zeros(n + 1)
    for x in range(1, right + 1):  # votes of the right candidate in the subset
        # ways[i, d]: to draw d thoughts of the others, i candidates with x votes and none with more
        ways = np.zeros((len(wrong) + 1, n - x + 1))
        ways[0, : blanks + 1] = [math.comb(blanks, d) for d in range(min(blanks, n - x) + 1)]
        for candidates, votes in enumerate(wrong, start=1):
            drawn = ways[:candidates].copy()
            ways[: candidates + 1] = 0
            for y in range(min(votes, x) + 1):
                tied = int(y == x)
                ways[tied : candidates + tied, y:] += math.comb(votes, y) * drawn[:, : n - x + 1 - y]
        shares = 1 / np.arange(1, len(wrong) + 2)
        won[x:] += math.comb(right, x) * (shares @ ways)
    return tuple(won.tolist())


def majority_rows(votes: Mapping[str, Votes], groups: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """maj@k for k = 1, 2, 4 … and the largest number of thoughts that a problem has, from the votes by problem.

    As in `parallel.pass_rows`, each k is over the problems with at least k thoughts, with the 95 % interval of their
    mean, clustered by problem, or by the `groups` of problems.
    """
    most = max(len(answers) for answers, _ in votes.values())
    rows = []
    for k in sorted({2**power for power in range(most.bit_length())} | {most}):
        enough = {problem: answers for problem, answers in votes.items() if len(answers[0]) >= k}
        values = np.array([majority_at_k(*answers, [k])[0] for answers in enough.values()])
        low, high = accuracy_interval(clustered(values, list(enough), groups))
        rows.append({"k": k, "value": float(values.mean()), "low": low, "high": high, "problems": len(values)})
    return rows
