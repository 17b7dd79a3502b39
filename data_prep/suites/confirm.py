"""Problems held out from all sweeps of a run (`sweep.confirm`), and all problems that a recipe measures on.

A suite that is made from a seed gives any number of new problems; of a suite that is read, those remain that the
sweeps do not use. Two problems are the same if they ask the same, whatever their ids and the order of choices.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace

from data_prep.problem import Problem, Suite
from data_prep.suites.choices import render_choices
from data_prep.suites.load import draw, load_suite
from recipes.confirm import CONFIRM, ConfirmSection
from recipes.errors import UserError
from recipes.suites import NanoSuite, ReasoningGymSuite, SuiteSection
from recipes.sweep import SweepSection

MADE = (NanoSuite, ReasoningGymSuite)


def measured_suites(section: SweepSection) -> tuple[Suite, ...]:
    """The suites that are swept, and the confirming problems if there are any: no trace may contain them."""
    swept = tuple(load_suite(suite) for suite in section.suites)
    confirming = confirm_suite(section, swept)
    return swept if confirming is None else (*swept, confirming)


def confirm_suite(section: SweepSection, swept: Sequence[Suite]) -> Suite | None:
    """The suite `NAME-confirm` of `sweep.confirm`, of problems that are in none of `swept`; None without the section.

    UserError if there are too few of them.
    """
    confirm = section.confirm
    if confirm is None:
        return None
    source = confirm.suite or _with_more(section.deciding_suite, confirm, swept)
    suite = load_suite(source, "sweep.confirm.suite")
    seen = {problem_key(problem, each.instruction) for each in swept for problem in each.problems}
    distinct = {problem_key(problem, suite.instruction): problem for problem in reversed(suite.problems)}
    unseen = tuple(problem for key, problem in reversed(distinct.items()) if key not in seen)
    if len(unseen) < confirm.problems:
        raise UserError(
            f"sweep.confirm.problems={confirm.problems}: suite {source.name} has {len(unseen)} that no sweep sees (of "
            f"{len(distinct)}); write a smaller number, reduce the size of the swept suite, name another "
            "sweep.confirm.suite, or write sweep.confirm=null"
        )
    return replace(suite, name=f"{source.name}{CONFIRM}", problems=_chosen(unseen, confirm, source))


def _with_more(deciding: SuiteSection, confirm: ConfirmSection, swept: Sequence[Suite]) -> SuiteSection:
    """The deciding suite with all its problems; if they are made from a seed, with enough in addition to the swept."""
    if not isinstance(deciding, MADE):
        return deciding.changed(size=None)
    size = confirm.problems + sum(len(suite.problems) for suite in swept)
    if isinstance(deciding, NanoSuite):
        from data_prep.nano_world import family_size  # it imports transformers, which other suites do not need

        size = min(size, family_size(deciding.family) or size)
    return deciding.changed(size=size, seed=confirm.seed)


def _chosen(unseen: tuple[Problem, ...], confirm: ConfirmSection, source: SuiteSection) -> tuple[Problem, ...]:
    if confirm.suite is None and isinstance(source, MADE):
        return unseen[: confirm.problems]  # made from the seed already
    return draw(unseen, confirm.problems, confirm.seed, "sweep.confirm")


def problem_key(problem: Problem, instruction: str = "") -> str:
    """SHA-256 of the question without `instruction`, ignoring case and spaces, and of its choices."""
    question = problem.question.removesuffix(instruction).rstrip()
    if problem.choices:
        question = question.removesuffix(render_choices("", problem.choices))
    stem = " ".join(question.lower().split())
    choices = sorted(" ".join(choice.lower().split()) for choice in problem.choices)
    return hashlib.sha256(json.dumps([stem, choices]).encode()).hexdigest()
