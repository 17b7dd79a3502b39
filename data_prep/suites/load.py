"""Suites of problems from the recipe: the embedded world, a file, a Hub data set, a known benchmark, Reasoning Gym."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.problem import LIKELIHOOD, Problem, Suite
from data_prep.suites.benchmarks import BENCHMARKS, Columns
from data_prep.suites.choices import LETTER, LETTERS, likelihood_prompt, read_choices, render_choices, shuffled
from data_prep.traces.rows import Rows, file_rows, hub_rows
from recipes.errors import UserError
from recipes.paths import find_path
from recipes.suites import HubSuite, JsonlSuite, NamedSuite, NanoSuite, ReasoningGymSuite

INTEGER = re.compile(r"\s*-?[0-9][0-9,]*(?:\.0*)?\s*")


@dataclass(frozen=True)
class RowRules:
    """How a row becomes a problem for `grader`. `order`: seed of the order of choices, or "" for the row's own."""

    columns: Columns
    grader: str
    instruction: str = ""
    gold_after: str = ""
    order: str = ""


def load_suite(
    section: NanoSuite | JsonlSuite | HubSuite | NamedSuite | ReasoningGymSuite, key: str = "sweep.suites"
) -> Suite:
    """The suite of a recipe's section; UserError names the row that is broken or the id that comes twice.

    key: what the user wrote it under.
    """
    where = f"{key} ({section.name})"
    if isinstance(section, NanoSuite):
        from data_prep.nano_world import nano_problems

        try:
            made = nano_problems(section.family, section.size, section.seed, section.part)
        except ValueError as fault:
            raise UserError(f"{where}.size: {fault}") from None
        return Suite(name=section.name, problems=tuple(made), grader="exact", wording="template")
    if isinstance(section, ReasoningGymSuite):
        from data_prep.suites.reasoning_gym import reasoning_gym_problems

        return Suite(section.name, reasoning_gym_problems(section), "reasoning_gym", wording="template")
    rows, rules = _named(section, where) if isinstance(section, NamedSuite) else _own(section, where)
    problems, grader = parse_problems(rows, rules, where), rules.grader
    if grader == "auto":
        grader = "choice" if any(problem.choices for problem in problems) else "math"
    suite = Suite(
        name=section.name,
        problems=draw(problems, section.size, section.seed, where),
        grader=grader,
        instruction=rules.instruction,
    )
    _check_golds(suite, where)
    return suite


def suite_called(text: str, key: str) -> JsonlSuite | NamedSuite:
    """The section of a suite that a command names: a file of problems, or a known benchmark. `key`: who asks."""
    path = Path(find_path(text))
    if path.is_file():
        return JsonlSuite(source="jsonl", name=path.stem, path=path)
    if text in BENCHMARKS:
        return NamedSuite.model_validate({"source": "named", "name": text})
    raise UserError(f"{key}={text}: neither a file of problems nor a known benchmark ({', '.join(BENCHMARKS)})")


def _own(section: JsonlSuite | HubSuite, where: str) -> tuple[Rows, RowRules]:
    problem = ("problem", "question") if section.problem == "problem" else (section.problem,)
    columns = Columns(problem=problem, answer=(section.answer,), choices=(section.choices,))
    order = f"{section.seed}" if section.shuffle_choices else ""
    rows = (
        file_rows(section.path, f"{where}.path")
        if isinstance(section, JsonlSuite)
        else hub_rows(section.id, section.config, section.split, f"{where}.id")
    )
    grader = section.grader if section.method == "generate" else f"{LIKELIHOOD}{section.likelihood}"
    return rows, RowRules(columns, grader, section.instruction, order=order)


def _named(section: NamedSuite, where: str) -> tuple[Rows, RowRules]:
    known = BENCHMARKS[section.name]
    generated = section.method == "generate"
    grader = known.grader if generated else f"{LIKELIHOOD}{section.likelihood or known.likelihood}"
    instruction = (known.instruction if generated else "") if section.instruction is None else section.instruction
    rows = (
        file_rows(section.path, f"{where}.path")
        if section.path is not None
        else hub_rows(known.hub, known.config, known.split, where)
    )
    order = f"{section.seed}" if known.shuffle_choices else ""
    return rows, RowRules(known.columns, grader, instruction, known.gold_after, order)


def draw(problems: tuple[Problem, ...], size: int | None, seed: int, key: str) -> tuple[Problem, ...]:
    """`size` of the problems in their own order, drawn by the seed; all where no size is given."""
    if size is None:
        return problems
    if size > len(problems):
        raise UserError(f"{key}.size: {size} problems were asked for, there are {len(problems)}")
    chosen = random.Random(f"suite {seed}").sample(range(len(problems)), size)
    return tuple(problems[i] for i in sorted(chosen))


def _check_golds(suite: Suite, key: str) -> None:
    """UserError where the grader could never be satisfied."""
    for problem in suite.problems:
        where = f"{key}: the answer of problem {problem.id} is {problem.answer!r}, which"
        if suite.grader == "integer" and not INTEGER.fullmatch(problem.answer):
            raise UserError(f"{where} grader=integer cannot compare; set grader=exact or grader=math")
        if suite.grader == "choice" and not LETTER.fullmatch(problem.answer):
            raise UserError(f"{where} is no letter A to J; grader=choice needs a letter, or rows with choices")
        if suite.grader != "choice" and not suite.by_likelihood and problem.choices:
            raise UserError(
                f"{where} stands for one of its choices; grader={suite.grader} cannot compare it; "
                "set grader=choice or leave it out"
            )


def parse_problems(rows: Rows, rules: RowRules, key: str) -> tuple[Problem, ...]:
    """All rows as problems; a row without an id has its number, counted from 0."""
    problems: dict[str, Problem] = {}
    lines: dict[str, str] = {}
    for number, (where, row) in enumerate(rows):
        try:
            problem = _problem(row, str(number), rules)
        except ValueError as fault:
            raise UserError(f"{where}: {fault}") from None
        if problem.id in problems:
            raise UserError(
                f"{where}: 'id' must differ from every other, {problem.id!r} also stands at {lines[problem.id]}"
            )
        problems[problem.id], lines[problem.id] = problem, where
    if not problems:
        raise UserError(f"{key}: there is no problem in it")
    return tuple(problems.values())


def _problem(row: Any, number: str, rules: RowRules) -> Problem:
    """One row as a problem; ValueError says what is wrong with it."""
    if isinstance(row, ValueError):
        raise row
    if not isinstance(row, Mapping):
        raise ValueError(f"a row must be an object, got {type(row).__name__}")
    columns = rules.columns
    _, key = _column(row, columns.id)
    identity = number if key is None else str(key).strip()
    name, question = _column(row, columns.problem)
    if not isinstance(question, str) or not question.strip():
        raise ValueError(f"{name!r} must be text that is not empty, got {question!r}" + _has(row, columns.problem))
    name, answer = _column(row, columns.answer)
    found = _column(row, columns.choices)[1]
    if columns.wrong and columns.wrong[0] in row:
        found, answer = [answer, *(row.get(column) for column in columns.wrong)], 0
    gold = _gold(name, answer, rules, row)
    choices: tuple[str, ...] = ()
    if found is not None:
        choices, right = read_choices(found, answer)
        if rules.order:
            choices, right = shuffled(choices, right, f"{rules.order} {identity}")
        gold = LETTERS[right]
    return Problem(id=identity, question=_asked(question, choices, rules), answer=gold, choices=choices)


def _asked(question: str, choices: Sequence[str], rules: RowRules) -> str:
    """The question as the model reads it, with its choices and the instruction."""
    if rules.grader.startswith(LIKELIHOOD):
        if not choices:
            raise ValueError(
                f"method=likelihood needs choices, and column {rules.columns.choices[0]!r} has none; "
                "name their column, or write method=generate"
            )
        before = f"{rules.instruction}\n\n" if rules.instruction else ""
        return before + likelihood_prompt(question, choices, rules.grader)
    if choices:
        question = render_choices(question, choices)
    return f"{question.rstrip()}\n\n{rules.instruction}" if rules.instruction else question


def _column(row: Mapping[str, Any], names: tuple[str, ...]) -> tuple[str, Any]:
    """(name, value) of the first of the columns that the row has; the first name and None where it has none."""
    return next(((name, row[name]) for name in names if row.get(name) is not None), (names[0], None))


def _has(row: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return "" if any(name in row for name in names) else f"; the row has the columns {', '.join(map(str, row))[:200]}"


def _gold(name: str, answer: Any, rules: RowRules, row: Mapping[str, Any]) -> str:
    """The gold answer as text; a whole number that is stored as a float (27.0) is written as one."""
    if isinstance(answer, float) and answer.is_integer():
        answer = int(answer)
    text = str(answer)
    if rules.gold_after:
        text = text.rpartition(rules.gold_after)[2].strip()
    if not isinstance(answer, str | int | float) or not text.strip() or text == "nan":
        raise ValueError(
            f"{name!r} must be a text or a number, got {answer!r}; every problem needs its gold answer"
            + _has(row, rules.columns.answer)
        )
    return text
