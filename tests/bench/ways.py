"""How a model of the world "ways" thinks: `python -m tests.bench.ways FILE.jsonl [seed=0 size=512]`.

FILE is a samples file that `python -m eval` or a run wrote for a suite {source: nano, family: ways, seed, size}, at the
largest budget. Printed: the share, length and right answers of each way, over all problems and over those of 8 or more
operations, with 95 % intervals over problems; and how often a comparison says `no` where its values differ, or agree.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_prep.nano_world import nano_problems
from recipes.command import run, split
from recipes.errors import UserError
from runtime.files import read_rows

HARD = 8
DRAWS = 2000
KEYS = {"seed": "seed of the suite (default 0)", "size": "problems of the suite (default 512)"}


@dataclass(frozen=True)
class Thought:
    problem: str
    operations: int
    way: str
    tokens: int
    correct: bool
    text: str


def way_of(thinking: str) -> str:
    """The way by its mark: a thought that never checks is quick."""
    words = thinking.split()
    return "final" if "again" in words else "careful" if "check" in words else "quick"


def read_thoughts(path: Path, seed: int, size: int) -> list[Thought]:
    """The thoughts of a samples file, each with its answer at the largest budget."""
    operations = {problem.id: problem.question.count("#") for problem in nano_problems("ways", size, seed)}
    thoughts = []
    for row in read_rows(path):
        if "thinking" in row:
            tokens, correct = row["answers"][-1]["thinking_tokens"], row["answers"][-1]["correct"]
            text = row["thinking"]
            thoughts.append(Thought(row["problem"], operations[row["problem"]], way_of(text), tokens, correct, text))
    return thoughts


def rate(thoughts: Sequence[Thought]) -> str:
    """Share of right answers with its 95 % interval, resampling problems."""
    if not thoughts:
        return "-"
    names = sorted({thought.problem for thought in thoughts})
    place = {name: number for number, name in enumerate(names)}
    right, count = np.zeros(len(names)), np.zeros(len(names))
    for thought in thoughts:
        right[place[thought.problem]] += thought.correct
        count[place[thought.problem]] += 1
    drawn = np.random.default_rng(0).integers(0, len(names), (DRAWS, len(names)))
    low, high = np.quantile(right[drawn].sum(1) / count[drawn].sum(1), [0.025, 0.975])
    return f"{right.sum() / count.sum():.3f} [{low:.3f}, {high:.3f}]"


def comparisons(thoughts: Sequence[Thought]) -> str:
    """How often `no` follows two values that differ, and two that agree."""
    said = [re.findall(r"= (\d+) (\d+) (ok|no)", thought.text) for thought in thoughts]
    pairs = [(first != second, word == "no") for each in said for first, second, word in each]
    rates = []
    for name, differ in (("differ", True), ("agree", False)):
        noes = [no for different, no in pairs if different is differ]
        rates.append(f"p(no | {name}) {np.mean(noes) if noes else float('nan'):.3f} of {len(noes)}")
    return ", ".join(rates)


def main(arguments: list[str]) -> None:
    """Prints the figures of the file in `arguments`."""
    values, files = split(arguments, KEYS)
    if len(files) != 1:
        raise UserError("tests.bench.ways: give the samples file of one suite of the second world")
    thoughts = read_thoughts(Path(files[0]), int(values.get("seed", 0)), int(values.get("size", 512)))
    print(f"{len(thoughts)} thoughts; {comparisons(thoughts)}")
    for way in ("quick", "careful", "final"):
        of_way = [thought for thought in thoughts if thought.way == way]
        hard = [thought for thought in of_way if thought.operations >= HARD]
        tokens = np.mean([thought.tokens for thought in of_way]) if of_way else 0
        print(
            f"{way:8} {len(of_way) / len(thoughts):.2f} of thoughts, {tokens:.0f} tokens, right {rate(of_way)}, "
            f"{HARD}+ operations {rate(hard)}"
        )


if __name__ == "__main__":
    run(main)
