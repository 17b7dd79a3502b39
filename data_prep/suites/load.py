"""Suites of problems from the recipe: the embedded world, a file, a Hub data set, a known benchmark, Reasoning Gym."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from data_prep.grading.numerals import as_text
from data_prep.problem import LIKELIHOOD, Problem, Suite
from data_prep.suites.choices import LETTER, LETTERS, likelihood_prompt, read_choices, render_choices, shuffled
from data_prep.suites.reasoning_gym import reasoning_gym_problems
from data_prep.traces.rows import Rows, file_rows, hub_rows
from recipes.benchmarks import BENCHMARKS, Columns
from recipes.errors import UserError
from recipes.paths import find_path
from recipes.suites import HubSuite, JsonlSuite, NamedSuite, NanoSuite, ReasoningGymSuite, SuiteSection

INTEGER = re.compile(r"\s*-?[0-9][0-9,]*(?:\.0*)?\s*")


@dataclass(frozen=True)
class RowRules:
    """How a row becomes a problem for `grader`. `order`: seed of the order of choices, or "" for the row's own."""

    columns: Columns
    grader: str
    instruction: str = ""
    gold_after: str = ""
    order: str = ""


def load_suite(section: SuiteSection, key: str = "sweep.suites") -> Suite:
    """The suite of a recipe's section; UserError names the broken row or the repeated id.

    key: the key under which the user wrote it.
    """
    return LOADERS[type(section)](section, f"{key} ({section.name})")


def suite_called(text: str, key: str) -> JsonlSuite | NamedSuite:
    """The section of a suite named in a command: a file of problems, or a known benchmark. `key`: the command's key."""
    path = Path(find_path(text))
    if path.is_file():
        return JsonlSuite(source="jsonl", name=path.stem, path=path)
    if text in BENCHMARKS:
        return NamedSuite(source="named", name=text)
    raise UserError(f"{key}={text}: neither a file of problems nor a known benchmark ({', '.join(BENCHMARKS)})")


def _nano_suite(section: NanoSuite, where: str) -> Suite:
    from data_prep.nano_world import nano_problems  # it imports transformers, which other suites do not need

    try:
        problems = nano_problems(section.family, section.size, section.seed, section.part)
    except ValueError as fault:
        raise UserError(f"{where}.size: {fault}") from None
    return Suite(name=section.name, problems=tuple(problems), grader="exact", wording="template")


def _reasoning_gym_suite(section: ReasoningGymSuite, where: str) -> Suite:
    return Suite(section.name, reasoning_gym_problems(section, where), "reasoning_gym", wording="template")


def _jsonl_suite(section: JsonlSuite, where: str) -> Suite:
    rows = file_rows(section.path, f"{where}.path", section.unpack_limit)
    return _rows_suite(section, rows, _own_rules(section), where)


def _hub_suite(section: HubSuite, where: str) -> Suite:
    rows = hub_rows(section.id, section.config, section.split, f"{where}.id")
    return _rows_suite(section, rows, _own_rules(section), where)


def _named_suite(section: NamedSuite, where: str) -> Suite:
    benchmark = BENCHMARKS[section.name]
    generated = section.method == "generate"
    grader = benchmark.grader if generated else f"{LIKELIHOOD}{section.likelihood or benchmark.likelihood}"
    instruction = section.instruction
    if instruction is None:
        instruction = benchmark.instruction if generated else ""
    rows = (
        file_rows(section.path, f"{where}.path", section.unpack_limit)
        if section.path is not None
        else hub_rows(benchmark.hub, benchmark.config, benchmark.split, where)
    )
    order = f"{section.seed}" if benchmark.shuffle_choices else ""
    rules = RowRules(
        replace(benchmark.columns, group=(section.group,)), grader, instruction, benchmark.gold_after, order
    )
    return _rows_suite(section, rows, rules, where)


LOADERS: Mapping[type[Any], Callable[[Any, str], Suite]] = {
    NanoSuite: _nano_suite,
    ReasoningGymSuite: _reasoning_gym_suite,
    JsonlSuite: _jsonl_suite,
    HubSuite: _hub_suite,
    NamedSuite: _named_suite,
}
"""by type of section; a new source of suites is one section in `recipes.suites` and one function here"""


def _own_rules(section: JsonlSuite | HubSuite) -> RowRules:
    """The rules for rows whose columns and grader the recipe names."""
    problem = ("problem", "question") if section.problem == "problem" else (section.problem,)
    columns = Columns(problem=problem, answer=(section.answer,), choices=(section.choices,), group=(section.group,))
    order = f"{section.seed}" if section.shuffle_choices else ""
    grader = section.grader if section.method == "generate" else f"{LIKELIHOOD}{section.likelihood}"
    return RowRules(columns, grader, section.instruction, order=order)


def _rows_suite(section: JsonlSuite | HubSuite | NamedSuite, rows: Rows, rules: RowRules, where: str) -> Suite:
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


def draw(problems: tuple[Problem, ...], size: int | None, seed: int, key: str) -> tuple[Problem, ...]:
    """`size` problems, drawn by the seed and in their own order; all if no size is given."""
    if size is None:
        return problems
    if size > len(problems):
        raise UserError(f"{key}.size={size}: there are only {len(problems)} problems; write at most {len(problems)}")
    chosen = random.Random(f"suite {seed}").sample(range(len(problems)), size)
    return tuple(problems[i] for i in sorted(chosen))


def _check_golds(suite: Suite, key: str) -> None:
    """UserError if no answer could ever satisfy the grader."""
    for problem in suite.problems:
        where = f"{key}: the answer of problem {problem.id} is {problem.answer!r}, which"
        if suite.grader == "integer" and not INTEGER.fullmatch(problem.answer):
            raise UserError(f"{where} grader=integer cannot compare; set grader=exact or grader=math")
        if suite.grader == "choice" and not LETTER.fullmatch(problem.answer):
            raise UserError(f"{where} is not a letter A to J; grader=choice needs a letter, or rows with choices")
        if suite.grader != "choice" and not suite.by_likelihood and problem.choices:
            raise UserError(
                f"{where} names one of its choices; grader={suite.grader} cannot compare it; "
                "set grader=choice or leave it out"
            )


def parse_problems(rows: Rows, rules: RowRules, key: str) -> tuple[Problem, ...]:
    """All rows as problems; the id of a row without one is its number, counted from 0."""
    problems: dict[str, Problem] = {}
    lines: dict[str, str] = {}
    for number, (where, row) in enumerate(rows):
        try:
            problem = _problem(row, str(number), rules)
        except ValueError as fault:
            raise UserError(f"{where}: {fault}") from None
        if problem.id in problems:
            raise UserError(f"{where}: 'id' must be unique, {problem.id!r} is also at {lines[problem.id]}")
        problems[problem.id], lines[problem.id] = problem, where
    if not problems:
        raise UserError(f"{key}: it contains no problems")
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
        raise ValueError(f"{name!r} must be non-empty text, got {question!r}" + _has(row, columns.problem))
    name, answer = _column(row, columns.answer)
    listed = _column(row, columns.choices)[1]
    if columns.wrong and columns.wrong[0] in row:  # the choices have their own columns, the right one first
        listed, answer = [answer, *(row.get(column) for column in columns.wrong)], 0
    gold = _gold(name, answer, rules, row)
    choices: tuple[str, ...] = ()
    if listed is not None:
        choices, right = read_choices(listed, answer)
        if rules.order:
            choices, right = shuffled(choices, right, f"{rules.order} {identity}")
        gold = LETTERS[right]
    _, group = _column(row, columns.group)
    return Problem(
        id=identity,
        question=_prompt(question, choices, rules),
        answer=gold,
        choices=choices,
        group="" if group is None else str(group).strip(),
    )


def _prompt(question: str, choices: Sequence[str], rules: RowRules) -> str:
    """The question as the model reads it, with choices and instruction."""
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
    """(name, value) of the first of the columns that the row has; the first name and None if it has none."""
    return next(((name, row[name]) for name in names if row.get(name) is not None), (names[0], None))


def _has(row: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return "" if any(name in row for name in names) else f"; the row has the columns {', '.join(map(str, row))[:200]}"


def _gold(name: str, answer: Any, rules: RowRules, row: Mapping[str, Any]) -> str:
    """The gold answer as text; a number that is stored as a float (27.0, 1e-07) is written as by hand."""
    is_number = isinstance(answer, int) or (isinstance(answer, float | Decimal) and math.isfinite(answer))
    text = as_text(answer) if is_number else str(answer)
    if rules.gold_after:
        text = text.rpartition(rules.gold_after)[2].strip()
    if not isinstance(answer, str | int | float | Decimal) or not text.strip() or text.lower() == "nan":
        raise ValueError(
            f"{name!r} must be text or a number, got {answer!r}; every problem needs a gold answer"
            + _has(row, rules.columns.answer)
        )
    return text
