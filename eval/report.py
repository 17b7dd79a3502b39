"""`python -m eval.report RUN [RUN …]`: prints the table of the newest sweep and writes report.html for run folders.

The run may train, be stopped or killed, which both say at the top with how to resume it, or be finished.
"""

from __future__ import annotations

from pathlib import Path

from eval.show.unfinished import unfinished_lines
from recipes.command import run, split
from recipes.errors import UserError
from recipes.help import HelpAsked, asks_for_help
from runtime.files import read_rows
from runtime.run_folder import RunFolder
from runtime.run_lock import presence


def main(arguments: list[str]) -> None:
    if asks_for_help(arguments):
        raise HelpAsked("python -m eval.report RUN [RUN ...]: writes report.html of run folders, also while they train")
    _, folders = split(arguments, {})
    if not folders:
        raise UserError("eval.report: give the folder of a run, such as runs/lora_recovery-1a2b3c4d")
    for name in folders:
        if not RunFolder(Path(name)).record.is_file():
            raise UserError(f"{name}: not a run folder (it has no run.json); give one that launch/train.py wrote")
    from eval.show.report import write_report  # matplotlib takes seconds to load, and names are checked before

    for name in folders:
        folder = RunFolder(Path(name))
        state = unfinished_lines(folder, presence(folder.path))
        said = ["\n".join(state), newest_sweep(folder)]
        print("".join(f"{text}\n\n" for text in said if text), end="")
        print(f"report {write_report(folder.path, state)}")


def newest_sweep(folder: RunFolder) -> str:
    """The table of the newest sweep and the references; "" if nothing was swept."""
    from eval.numbers.summary import verdict_suite
    from eval.show.tables import sweep_table

    rows = read_rows(folder.sweeps)
    return sweep_table(rows, verdict_suite(rows)) if rows else ""


if __name__ == "__main__":
    run(main)
