"""Suites of problems from the recipe: the embedded world, a JSON Lines file, a Hub data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from data_prep.problems import Problem, Suite
from data_prep.traces import read_jsonl
from recipes.errors import UserError
from recipes.paths import find_path
from recipes.schema import HubSuite, JsonlSuite, NanoSuite


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
    return Suite(name=section.name, problems=_parse(rows, columns, section.name), grader=section.grader)


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
        if answer is None or not str(answer).strip():
            raise UserError(f"{where}: {columns[1]!r} is empty; every problem needs its gold answer")
        if key is None or str(key) in problems:
            raise UserError(f"{where}: 'id' must be there and differ from every other, got {key!r}")
        problems[str(key)] = Problem(id=str(key), question=question, answer=str(answer))
    if not problems:
        raise UserError(f"sweep.suites ({name}): there is no problem in it")
    return tuple(problems.values())
