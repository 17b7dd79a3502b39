"""`python -m prune.align DIR`: how well the sizes of a checkpoint or of an adapter suit an accelerator.

config.json and the headers of the weights are read, no weight. `profile=true` multiplies matrices of these sizes on the
device at hand.
"""

from __future__ import annotations

from pathlib import Path

from recipes.command import run, split
from recipes.errors import UserError
from recipes.help import HelpAsked, asks_for_help

OWN = {
    "profile": "true: also measures products of these sizes on this device",
    "table": "file for the measured times, as JSON",
}
USAGE = "usage: python -m prune.align DIR [profile=true [table=FILE]]"


def main(arguments: list[str]) -> None:
    """Prints the report on the one folder named, and what was measured. A report is no judgement: exit code 0."""
    if asks_for_help(arguments):
        raise HelpAsked(USAGE + "\n" + "".join(f"{key}=...: {meaning}\n" for key, meaning in OWN.items()))
    options, names = split(arguments, OWN)
    if len(names) != 1 or names[0].startswith("-") or "=" in names[0]:
        raise UserError(USAGE)
    if options.get("profile", "false") not in ("true", "false"):
        raise UserError(f"profile={options['profile']}: write true or false")
    asked = options.get("profile") == "true"
    if "table" in options and not asked:
        raise UserError(f"table={options['table']}: nothing is measured without profile=true")
    from prune.align.matrices import read_matrices
    from prune.align.report import describe_matrices

    matrices = read_matrices(Path(names[0]))
    print(describe_matrices(names[0], matrices))
    if asked:
        from prune.align.profiling import describe_profile, profile, write_profile

        measured = profile(matrices)
        print(describe_profile(measured))
        if options.get("table"):
            write_profile(measured, Path(options["table"]))
            print(f"written    {options['table']}")


if __name__ == "__main__":
    run(main)
