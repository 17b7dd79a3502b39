"""Commands for data: `python -m data_prep COMMAND key=value ...`; `python -m data_prep help` lists them."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from recipes.command import run
from recipes.errors import UserError
from recipes.help import HelpAsked, asks_for_help

COMMANDS = {
    "check": "traces=FILE | recipe=FILE: shows the contents of a trace set, and what each filter drops",
    "decontaminate": "traces=FILE suite=FILE out=FILE: writes a trace file without the traces that overlap with suites",
    "prepare": "recipe=FILE: prepares the traces as a run would, and shows what happened to each row",
    "preview": "recipe=FILE [n=3] [ids=true]: the first rows, with the labelled part in colour",
    "score": "recipe=FILE out=FILE [pruned=DIR]: the loss of both models on each trace",
    "teach": "recipe=FILE out=DIR [k=64]: stores the unpruned model's predictions for loss.teacher.logits",
    "nano": "recipe=nano_world.yaml out=DIR: trains the embedded reasoner from scratch",
}
"""what each command does: the `main(arguments)` of its module in `data_prep.commands`, imported only when called"""
# commands that need a sweep's engines are in `eval`, which may import this package but not the other way round
ELSEWHERE = "python -m eval.generate recipe=FILE problems=FILE out=FILE [samples=4]: the unpruned model writes traces"


def main(arguments: list[str]) -> None:
    commands = [f"python -m data_prep {name} {meaning}" for name, meaning in COMMANDS.items()]
    listed = "\n".join([*commands, ELSEWHERE])
    word = arguments[0] if arguments else "nothing"
    if word in COMMANDS:
        command: Callable[[list[str]], None] = import_module(f"data_prep.commands.{word}").main
        command(arguments[1:])
    elif asks_for_help(arguments):
        raise HelpAsked(listed)
    else:
        raise UserError(
            f"data_prep: the first word must be {', '.join(COMMANDS)}, got {word}; python -m data_prep help says what "
            "each does"
        )


if __name__ == "__main__":
    run(main)
