"""Runs paired by problem on the verdict suite, with p-values corrected for the number of pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eval.comparing.finished import Finished
from eval.comparing.grades import Grades, read_grades
from eval.numbers.groups import clustered, joint_groups
from eval.numbers.pairs import Difference, differences


@dataclass(frozen=True)
class Pairs:
    """The paired differences of runs over the problems that all of them have; `groups`: the number of groups, if
    intervals are clustered. `why_none` says why there are no differences; `against`: the run that all others are
    compared with."""

    problems: int
    groups: int | None
    differences: tuple[Difference, ...]
    why_none: str = ""
    against: str | None = None


def paired(runs: Sequence[Finished], against: str | None = None) -> Pairs:
    """Every pair of `runs`, or every other run with `against`; runs have distinct names and one protocol."""
    if len(runs) < 2:
        return _none("a single run")
    lacking = [run.name for run in runs if not run.samples.is_file()]
    if lacking:
        return _none(f"no samples of {', '.join(lacking)}")
    return differences_of({run.name: read_grades(run.samples) for run in runs}, against)


def differences_of(grades: dict[str, Grades], against: str | None) -> Pairs:
    """The same for grades by name, all at the same budgets."""
    shared = set.intersection(*(set(each.problems) for each in grades.values()))
    problems = [problem for problem in next(iter(grades.values())).problems if problem in shared]
    groups = joint_groups([each.groups for each in grades.values()])
    if groups is None:
        return _none("runs put one problem into different groups; name the same `group` column in all")
    means = {name: clustered(each.of(problems), problems, groups) for name, each in grades.items()}
    rows = len(next(iter(means.values())))
    if rows < 2:
        unit = "groups of problems" if groups else "problems"
        return _none(f"{rows} {unit} are in every run, and an interval needs two")
    found = differences(means, next(iter(grades.values())).budgets, against)
    return Pairs(len(problems), rows if groups else None, tuple(found), against=against)


def _none(why: str) -> Pairs:
    return Pairs(0, None, (), why)
