"""Suites of problems from the recipe: the embedded world, a JSON Lines file, a Hub data set."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from data_prep.problems import Problem, Suite
from data_prep.traces import read_jsonl
from recipes.errors import UserError
from recipes.paths import find_path
from recipes.schema import HubSuite, JsonlSuite, NanoSuite

INTEGER = re.compile(r"\s*-?[0-9][0-9,]*\s*")


def load_suite(section: NanoSuite | JsonlSuite | HubSuite) -> Suite:
    """The suite of a recipe's section; UserError names the row that is broken or the id that comes twice."""
    if isinstance(section, NanoSuite):
        from data_prep.nano_world import nano_problems

        try:
            problems = nano_problems(section.family, section.size, section.seed)
        except ValueError as fault:
            raise UserError(f"sweep.suites ({section.name}).size: {fault}") from None
        return Suite(name=section.name, problems=tuple(problems), grader="exact")
    if isinstance(section, JsonlSuite):
        rows = read_jsonl(Path(find_path(str(section.path))), f"sweep.suites ({section.name}).path")
        columns = ("problem", "answer")
    else:
        rows, columns = _read_hub(section), (section.problem, section.answer)
    problems_read = _parse(rows, columns, section.name)
    suite = Suite(name=section.name, problems=draw(problems_read, section), grader=section.grader)
    if section.grader == "integer":
        _check_integers(suite)
    return suite


def draw(problems: tuple[Problem, ...], section: JsonlSuite | HubSuite) -> tuple[Problem, ...]:
    """`section.size` of the problems in their own order, drawn by its seed; all where no size is given."""
    if section.size is None:
        return problems
    if section.size > len(problems):
        raise UserError(f"sweep.suites ({section.name}).size: {section.size} problems were asked for, "
                        f"there are {len(problems)}")
    chosen = random.Random(f"suite {section.seed}").sample(range(len(problems)), section.size)
    return tuple(problems[i] for i in sorted(chosen))


def _check_integers(suite: Suite) -> None:
    for problem in suite.problems:
        if not INTEGER.fullmatch(problem.answer):
            raise UserError(f"sweep.suites ({suite.name}): the answer of problem {problem.id} is {problem.answer!r}, "
                            "which grader=integer cannot compare; set grader=exact or grader=math")


def _read_hub(section: HubSuite) -> Iterator[tuple[str, Any]]:
    from datasets import load_dataset

    for number, row in enumerate(load_dataset(section.id, split=section.split)):
        yield f"{section.id}[{section.split}]:{number}", {"id": str(number), **row}


def _parse(rows: Iterator[tuple[str, Any]], columns: tuple[str, str], name: str) -> tuple[Problem, ...]:
    problems: dict[str, Problem] = {}
    for where, row in rows:
        if isinstance(row, ValueError):
            raise UserError(f"{where}: {row}")
        if not isinstance(row, Mapping):
            raise UserError(f"{where}: a row must be an object, got {type(row).__name__}")
        question, answer, key = (row.get(column) for column in (*columns, "id"))
        if not isinstance(question, str) or not question.strip():
            raise UserError(f"{where}: {columns[0]!r} must be text that is not empty, got {question!r}")
        if not isinstance(answer, str | int | float) or not str(answer).strip():
            raise UserError(f"{where}: {columns[1]!r} must be a text or a number, got {answer!r}; "
                            "every problem needs its gold answer")
        if key is None or str(key) in problems:
            raise UserError(f"{where}: 'id' must be there and differ from every other, got {key!r}")
        problems[str(key)] = Problem(id=str(key), question=question, answer=str(answer))
    if not problems:
        raise UserError(f"sweep.suites ({name}): there is no problem in it")
    return tuple(problems.values())
