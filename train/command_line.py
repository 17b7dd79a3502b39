"""`chainmend COMMAND key=value …`: every command under one name, as `python -m …` starts it."""

from __future__ import annotations

import runpy
import shutil
import sys
from collections.abc import Mapping
from typing import NoReturn

from recipes.command import run
from recipes.errors import UserError
from recipes.help import HelpAsked
from recipes.names import closest

COMMANDS: Mapping[str, tuple[str, str]] = {
    "train": ("train", "recipe=FILE [gpus=N]: prunes, trains, sweeps, exports; gpus=N starts N ranks by deepspeed"),
    "plan": ("train.plan", "recipe=FILE: estimates memory, tokens and hours of a run"),
    "prune": ("prune", "recipe=FILE output=DIR: only the pruning"),
    "inspect": ("prune.inspect", "DIR: checks a checkpoint: config, weights, tokenizer"),
    "align": ("prune.align", "DIR: compares dimensions with multiples of 8 to 128"),
    "cuts": ("train.cuts", "recipe=FILE out=DIR: compares pruning methods"),
    "data": ("data_prep", "check | prepare | preview | score | teach | decontaminate | nano"),
    "sweep": ("eval", "model=DIR recipe=FILE out=DIR: accuracy against thinking tokens"),
    "generate": ("eval.generate", "recipe=FILE problems=FILE out=FILE: the unpruned model writes traces"),
    "compare": ("eval.compare", "RUN RUN …: compares runs"),
    "verdict": ("eval.verdict", "FILE.jsonl: the verdict on per-problem results of any tool"),
    "grade": ("eval.grade", "FILE.jsonl out=FILE: answers against gold answers"),
    "report": ("eval.report", "RUN: report.html of a run, also while it trains"),
    "export": ("train.export", "run=RUN out=DIR: a plain checkpoint"),
    "schema": ("recipes.json_schema", "[> FILE]: the JSON schema of recipes, for editors"),
}
"""word: its module, and what the command does"""


def main(arguments: list[str]) -> None:
    """Runs a command; without one, or for help, lists them."""
    word, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if word in ("", "--help", "-h", "help"):
        raise HelpAsked("\n".join(f"chainmend {name} {meaning}" for name, (_, meaning) in COMMANDS.items()))
    if word not in COMMANDS:
        like = closest(word, COMMANDS)
        meant = f"; did you mean {like}?" if like else f"; use one of {', '.join(COMMANDS)}"
        raise UserError(f"chainmend {word}: unknown command{meant}")
    gpus = [each for each in rest if each.startswith("gpus=")] if word == "train" else []
    if gpus:
        _launch(gpus, [each for each in rest if each not in gpus])
    sys.argv = [f"chainmend {word}", *rest]
    runpy.run_module(COMMANDS[word][0], run_name="__main__", alter_sys=True)


def _launch(gpus: list[str], rest: list[str]) -> NoReturn:
    """Replaces this process by the launcher, so that signals reach it."""
    import os

    text = gpus[0].removeprefix("gpus=")
    if len(gpus) > 1 or not text.isdecimal() or int(text) < 1:
        raise UserError(f"chainmend train: {' '.join(gpus)}: give one number of ranks of at least 1")
    program = shutil.which("deepspeed")
    if program is None:
        raise UserError("chainmend train gpus=N: deepspeed is not on PATH; activate the environment it is installed in")
    # -q: the launcher reports only errors
    os.execv(program, [program, "-q", "--num_accelerators", text, "--module", "train", *rest])


def command() -> NoReturn:
    """The console script."""
    run(main)
