"""Thoughts of the unpruned model, the pruned model and the run about the same problems, side by side.

Read from the samples files of a run folder (written by `eval.samples`): the first thought about each problem. The
shown problems are chosen so that every change of grade at the largest budget appears; all problems are counted.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import filterfalse, zip_longest
from pathlib import Path
from typing import Any

from markupsafe import escape

from eval.numbers.summary import Row
from eval.show.marked_text import Part, cuts_of, marked, shortened
from eval.show.sections import Table
from eval.show.tables import budget_name
from recipes.file_names import name_fault
from recipes.terminal import plain

MOST_PROBLEMS = 24
MOST_CHARACTERS = 5000
"""characters of one thought; the middle of a longer one is left out, with a note"""
MOST_QUESTION, MOST_ANSWER = 1500, 400
MOST_BYTES = 1_200_000
"""bytes of all thoughts on a page, as written in it"""
CUT_BYTES = 250
"""bytes of a cut's mark in a page, at most"""
LATER = re.compile(r'\{"problem": "(?:[^"\\]|\\.)*", "sample": [1-9]')
"""the beginning of the line of a second or later thought: there may be gigabytes of them, which are not parsed"""
RIGHT, WRONG, NONE = "1", "0", "-"
ENDS = {
    "close": "terminated after {} tokens",
    "eos": "ended without a close mark after {} tokens",
    "loop": "stopped after {} tokens, it loops",
    "budget": "stopped at {} tokens, the largest budget",
}


@dataclass(frozen=True)
class ShownAnswer:
    """The answer at some budgets; note: "" or what is wrong with it apart from the grade."""

    budgets: str
    tokens: str
    text: str
    right: bool
    note: str


@dataclass(frozen=True)
class ShownThought:
    """model: unpruned, pruned or run; thinking: the text in the parts between cuts; grades: one of RIGHT, WRONG,
    NONE for each budget; placed: whether the file says where budgets truncate the text."""

    model: str
    title: str
    ending: str
    thinking: tuple[Part, ...]
    answers: tuple[ShownAnswer, ...]
    grades: str
    placed: bool = True


@dataclass(frozen=True)
class ShownProblem:
    """question and gold are "" if the run folder does not have them (earlier versions)."""

    id: str
    question: str
    gold: str
    thoughts: tuple[ShownThought, ...]

    @property
    def key(self) -> str:
        """The grades at the largest budget, one letter per model."""
        return "".join(thought.grades[-1] for thought in self.thoughts)

    @property
    def bytes(self) -> int:
        """Its approximate size in a page."""
        texts = [self.question, *(text for each in self.thoughts for text in _texts(each))]
        cuts = sum(bool(part.cut) for each in self.thoughts for part in each.thinking)
        return 2000 + CUT_BYTES * cuts + sum(len(escape(text).encode("utf-8", "replace")) for text in texts)


@dataclass(frozen=True)
class Thoughts:
    """The contents of a page: the models by title, the budgets, the chosen problems, how many there are; kinds: the
    number of problems with each combination of grades at the largest budget."""

    models: Mapping[str, str]
    budgets: tuple[str, ...]
    problems: tuple[ShownProblem, ...]
    count: int
    kinds: Table

    @property
    def unplaced(self) -> int:
        """The shown thoughts whose file does not say where budgets truncate their text."""
        return sum(not thought.placed for problem in self.problems for thought in problem.thoughts)


def side_by_side(folder: Path, places: Mapping[str, int], suite: str, questions: Sequence[Row]) -> Thoughts | None:
    """The thoughts of the models in `places` (model to step, in this order) about `suite`.

    folder: the samples of a run; questions: rows of problems.jsonl. None if no model has a samples file. Raises
    ValueError for a file that is not a samples file.
    """
    files = {model: folder / suite / f"{model}-{step:06d}.jsonl" for model, step in places.items()}
    files = {model: file for model, file in files.items() if not name_fault(suite) and file.is_file()}
    if not files:
        return None
    titles = {model: f"recovered, step {places[model]}" if model == "run" else model for model in files}
    read = {model: _first_thoughts(file, model, titles[model]) for model, file in files.items()}
    budgets = next(iter(read.values()))[0]
    asked = {row.get("id"): row for row in questions if row.get("suite") == suite}
    by_model = [thoughts for _, thoughts in read.values()]
    ids = [id for id in by_model[0] if all(id in thoughts for thoughts in by_model)]
    problems = [_problem(id, asked.get(id, {}), [thoughts[id] for thoughts in by_model]) for id in ids]
    if not problems:
        return None
    chosen = within(chosen_problems(problems))
    return Thoughts(titles, tuple(map(budget_name, budgets)), chosen, len(problems), kinds(problems, titles, chosen))


def chosen_problems(problems: Sequence[ShownProblem]) -> list[ShownProblem]:
    """At most MOST_PROBLEMS, one of every combination of grades in turn, the first of the suite first."""
    by_key: dict[str, list[ShownProblem]] = {}
    for problem in problems:
        by_key.setdefault(problem.key, []).append(problem)
    rounds = zip_longest(*(by_key[key] for key in sorted(by_key, key=_interest)))
    return [problem for each in rounds for problem in each if problem][:MOST_PROBLEMS]


def _interest(key: str) -> tuple[bool, str]:
    """Sorts changed grades before equal ones, and the last model's gains before its losses."""
    return len(set(key)) == 1, key[::-1].translate({ord(RIGHT): "a", ord(WRONG): "b", ord(NONE): "c"})


def within(problems: Sequence[ShownProblem], most_bytes: int = MOST_BYTES) -> tuple[ShownProblem, ...]:
    """The first problems that fit a page together; always at least one."""
    taken, room = list(problems[:1]), most_bytes - sum(problem.bytes for problem in problems[:1])
    for problem in problems[1:]:
        room -= problem.bytes
        if room < 0:
            break
        taken.append(problem)
    return tuple(taken)


def kinds(problems: Iterable[ShownProblem], titles: Mapping[str, str], shown: Iterable[ShownProblem]) -> Table:
    """One line per combination of grades at the largest budget: the grade of each model, problems, those shown."""
    words = {RIGHT: "right", WRONG: "wrong", NONE: "missing"}
    counts, here = (Counter(problem.key for problem in each) for each in (problems, shown))
    lines = [
        [*(words[grade] for grade in key), str(counts[key]), str(here[key])] for key in sorted(counts, key=_interest)
    ]
    return Table([*titles.values(), "problems", "shown here"], lines)


def _first_thoughts(file: Path, model: str, title: str) -> tuple[list[int], dict[str, ShownThought]]:
    """(budgets, the first thought about each problem by its id) of a samples file, read line by line."""
    found: dict[str, ShownThought] = {}
    try:
        with file.open(encoding="utf-8", newline="\n") as lines:
            budgets = [int(budget) for budget in json.loads(next(lines, ""))["budgets"]]
            for line in filterfalse(LATER.match, lines):
                row = json.loads(line)
                if (id := str(row["problem"])) not in found:
                    found[id] = _shown(row, model, title, budgets)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as fault:
        raise ValueError(f"{file.name} is damaged, not the samples file of a sweep ({fault})") from None
    return budgets, found


def _shown(row: Mapping[str, Any], model: str, title: str, budgets: Sequence[int]) -> ShownThought:
    answers = row["answers"]
    grades = {budget: RIGHT if answer["correct"] else WRONG for answer in answers for budget in answer["budgets"]}
    cuts = cuts_of(row, {budget: budget_name(budget) for budget in budgets})
    return ShownThought(
        model=model,
        title=title,
        ending=_ending(row),
        thinking=marked(str(row["thinking"]), cuts or {}, MOST_CHARACTERS),
        answers=tuple(_answer(answer) for answer in answers),
        grades="".join(grades.get(budget, NONE) for budget in budgets),
        placed=cuts is not None,
    )


def _answer(answer: Mapping[str, Any]) -> ShownAnswer:
    notes = [] if answer["finished"] else ["answer truncated"]
    notes += ["the thinking loops"] if answer["looping"] else []
    notes += [] if answer["extracted"] else ["no answer found"]
    return ShownAnswer(
        budgets=", ".join(budget_name(budget) for budget in answer["budgets"]),
        tokens=f"{answer['thinking_tokens']:,}",
        text=plain(shortened(str(answer["text"]), MOST_ANSWER)),
        right=bool(answer["correct"]),
        note="; ".join(notes),
    )


def _ending(row: Mapping[str, Any]) -> str:
    if row["failure"] or not row["answers"]:
        return f"missing: {plain(shortened(str(row['failure']), MOST_ANSWER)) or 'no answer'}"
    tokens = row["answers"][-1]["thinking_tokens"]
    extended = f", extended {row['extensions']} time(s)" if row["extensions"] else ""
    return ENDS[row["stop"]].format(f"{tokens:,}") + extended


def _problem(id: str, asked: Row, thoughts: Sequence[ShownThought]) -> ShownProblem:
    question, gold = (str(asked.get(key) or "") for key in ("question", "answer"))
    parts = ((id, MOST_ANSWER), (question, MOST_QUESTION), (gold, MOST_ANSWER))
    id, question, gold = (plain(shortened(text, most)) for text, most in parts)
    return ShownProblem(id, question, gold, tuple(thoughts))


def _texts(thought: ShownThought) -> list[str]:
    return [*(part.text for part in thought.thinking), *(answer.text for answer in thought.answers)]
