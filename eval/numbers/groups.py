"""Related problems (one subject, one contest's year, one template): intervals clustered by their groups.

The mean over problems does not change, but the sampled unit is the group: its problems are not independent evidence
(Miller 2024, arXiv 2411.00640, section 2.2). Each group becomes one row whose distance from the mean is the sum of its
problems' distances, in units of a group of average size. The variance of the mean of these rows is the usual clustered
one with the correction groups / (groups - 1), so every interval that takes one row per problem accepts these rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from eval.numbers.statistics import Array


def by_group(values: Array, groups: Sequence[str]) -> Array:
    """One row per group, [groups, …], of `values` [problems, …]; `groups` names that of each problem.

    Their mean is that of `values`. With one problem in each group they are the values themselves.
    """
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    mean = values.mean(axis=0)
    sums = np.zeros((len(names), *values.shape[1:]))
    np.add.at(sums, index, values - mean)
    return np.asarray(mean + sums * (len(names) / len(values)), dtype=np.float64)


def clustered(values: Array, problems: Sequence[str], groups: Mapping[str, str] | None) -> Array:
    """`values` [problems, …] with one row per group of `problems`; unchanged without `groups`."""
    labels = groups_of(problems, groups)
    return values if labels is None else by_group(values, labels)


def groups_of(problems: Sequence[str], groups: Mapping[str, str] | None) -> list[str] | None:
    """The group of each of `problems`; None without groups. A problem without one is its own group."""
    return [groups.get(problem, f"problem {problem}") for problem in problems] if groups else None


def joint_groups(of_sweeps: Iterable[Mapping[str, str] | None]) -> dict[str, str] | None:
    """The combined groups of several sweeps of the same problems; a sweep may have none (files of earlier versions).
    None if two sweeps put one problem into different groups."""
    joint: dict[str, str] = {}
    for groups in of_sweeps:
        if any(joint.get(problem, group) != group for problem, group in (groups or {}).items()):
            return None
        joint |= groups or {}
    return joint
