"""`python -m prune.align DIR`: how well the matrix sizes of a checkpoint or adapter suit an accelerator.

Only config.json and the headers of the weight files are read. `profile=true` also times matrix products of these sizes
on the current device.
"""

from __future__ import annotations

from pathlib import Path

from recipes.command import run, split
from recipes.errors import UserError
from recipes.help import HelpAsked, asks_for_help

OWN = {
    "profile": "true: also time matrix products of these sizes on this device",
    "table": "JSON file for the measured times",
}
USAGE = "usage: python -m prune.align DIR [profile=true [table=FILE]]"


def main(arguments: list[str]) -> None:
    """Prints the report on the named folder, and the measured times. Misaligned sizes do not change exit code 0."""
    if asks_for_help(arguments):
        raise HelpAsked(USAGE + "\n" + "".join(f"{key}=...: {meaning}\n" for key, meaning in OWN.items()))
    options, names = split(arguments, OWN)
    if len(names) != 1 or names[0].startswith("-") or "=" in names[0]:
        raise UserError(USAGE)
    if options.get("profile", "false") not in ("true", "false"):
        raise UserError(f"profile={options['profile']}: write true or false")
    asked = options.get("profile") == "true"
    if "table" in options and not asked:
        raise UserError(f"table={options['table']}: nothing is measured without profile=true; add profile=true")
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
