"""The finished cells of a study as arrays: the answers of every training, by problem."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np

from eval.comparing.finished import Finished, read_run
from eval.numbers.gains import gain_per_doubling, slope_scale
from eval.numbers.groups import clustered, joint_groups
from eval.numbers.statistics import Array
from eval.numbers.summary import Row, at_step, paired_ids, problem_means, steps
from eval.samples import read_sweep
from eval.types import SuiteSweep
from recipes.errors import UserError
from recipes.study import Number
from runtime.files import read_rows
from runtime.run_folder import RunFolder
from runtime.seal import file_fault
from train.study.grid import Cell

WHICH = ("run", "unpruned", "pruned")


@dataclass(frozen=True)
class Answers:
    """One model on the suite: shares of correct thoughts [problems, budgets], and of thoughts that terminated within
    the largest budget [problems]."""

    correct: Array
    closed: Array


@dataclass(frozen=True)
class Trained:
    """One finished cell: its models' answers by name (WHICH), its cost, and its rows of sweeps.jsonl.

    way: (labelled tokens so far, accuracy at the largest budget) of each sweep, starting before the first step.
    """

    seed: int
    answers: Mapping[str, Answers]
    tokens: float
    labelled_tokens: float
    seconds: float
    sweep_seconds: float
    rows: tuple[Row, ...]
    way: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class ArmResult:
    """An arm with its finished trainings, at least one."""

    name: str
    title: str
    trainings: tuple[Trained, ...]

    def values(self, number: Number, which: str, budgets: Sequence[int]) -> Array:
        """A number of the models `which`, [seeds, problems]."""
        answers = [training.answers[which] for training in self.trainings]
        of_one: dict[Number, Callable[[Answers], Array]] = {
            "level": lambda each: each.correct[:, -1],
            "gain": lambda each: gain_per_doubling(each.correct, budgets),
            "termination": lambda each: each.closed,
            "thinking_off": lambda each: each.correct[:, 0],
        }
        return np.stack([of_one[number](each) for each in answers])

    def of_seeds(self, seeds: Sequence[int]) -> ArmResult:
        """The same arm with only these seeds."""
        chosen = {training.seed: training for training in self.trainings}
        return ArmResult(self.name, self.title, tuple(chosen[seed] for seed in seeds))


@dataclass(frozen=True)
class Results:
    """All arms on one suite; every array has the same problems, or groups of problems, in the same order."""

    suite: str
    budgets: tuple[int, ...]
    problems: int
    arms: tuple[ArmResult, ...]


def scale_of(number: Number, budgets: Sequence[int]) -> float:
    """The maximum of one model's contribution to one problem's contrast."""
    return slope_scale(budgets) if number == "gain" else 1.0


def read_results(cells: Sequence[Cell]) -> Results:
    """The finished cells, at least one. UserError if a file is missing, damaged, or of another protocol."""
    runs = [(cell, read_run(cell.folder)) for cell in cells]
    read = _reader()
    sweeps = [{which: read(_samples(run, which)) for which in WHICH} for _, run in runs]
    every = [sweep for of_cell in sweeps for sweep in of_cell.values()]
    if len({(sweep.budgets, sweep.protocol) for sweep in every}) > 1:
        raise UserError("cells were measured by different protocols and cannot be paired; name another out")
    problems, groups = paired_ids(every), joint_groups([sweep.groups for sweep in every])
    if len(problems) < 2:
        raise UserError(f"only {len(problems)} problems are in every sweep, but an interval needs two")
    answers: dict[int, Answers] = {}
    for sweep in every:  # references are shared and read once
        if id(sweep) not in answers:
            correct = clustered(problem_means(sweep, problems), problems, groups)
            answers[id(sweep)] = Answers(correct, clustered(_closed(sweep, problems), problems, groups))
    arms: dict[str, list[Trained]] = {}
    for (cell, run), of_cell in zip(runs, sweeps, strict=True):
        arms.setdefault(cell.arm.name, []).append(
            _trained(cell, run, {which: answers[id(sweep)] for which, sweep in of_cell.items()})
        )
    titles = {cell.arm.name: cell.arm.title for cell in cells}
    found = tuple(ArmResult(name, titles[name], tuple(trainings)) for name, trainings in arms.items())
    return Results(runs[0][1].suite, every[0].budgets, len(problems), found)


def _samples(run: Finished, which: str) -> Path:
    return run.samples if which == "run" else run.samples.with_name(f"{which}-000000.jsonl")


def _reader() -> Callable[[Path], SuiteSweep]:
    """Reads sealed samples files; files with the same seal, such as a shared reference, are read once."""
    known: dict[str, SuiteSweep] = {}

    def read(path: Path) -> SuiteSweep:
        if fault := file_fault(path):
            raise UserError(f"{path} is damaged ({fault}); remove its cell's folder and run the study again")
        # the seal is `hash  name`, as sha256sum writes it
        seal = path.with_suffix(".sha256").read_text(encoding="utf-8").split()[0]
        if seal not in known:
            known[seal] = read_sweep(path)
        return known[seal]

    return read


def _closed(sweep: SuiteSweep, problems: Sequence[str]) -> Array:
    ended: dict[str, list[bool]] = {}
    for score in sweep.scores:
        if score.budget == sweep.budgets[-1]:
            ended.setdefault(score.problem, []).append(score.closed)
    return np.array([fmean(ended[problem]) for problem in problems])


def _trained(cell: Cell, run: Finished, answers: Mapping[str, Answers]) -> Trained:
    folder = RunFolder(cell.folder)
    labelled = float(folder.facts()["data"]["labelled_share"])
    metrics = read_rows(folder.metrics)
    at = {
        step: sum(row["tokens"] for row in metrics if row["step"] <= step) for step in steps(run.rows, "run", run.suite)
    }
    way = [
        (tokens * labelled, at_step(run.rows, "run", run.suite, step)[0][-1]["accuracy"]) for step, tokens in at.items()
    ]
    before = float(answers["pruned"].correct[:, -1].mean())
    return Trained(
        seed=cell.seed,
        answers=answers,
        tokens=run.totals.get("tokens", 0.0),
        labelled_tokens=run.totals.get("tokens", 0.0) * labelled,
        seconds=run.totals.get("seconds", 0.0),
        sweep_seconds=run.totals.get("sweep_seconds", 0.0),
        rows=run.rows,
        way=tuple(way) if way and way[0][0] == 0 else ((0.0, before), *way),
    )
