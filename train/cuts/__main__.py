"""`python -m train.cuts recipe=FILE out=DIR [methods=…] [layers=1,2,3] [key=value …]`: compares pruning methods.

Every method removes every given number of layers, and each pruned model is swept with the recipe's settings, before any
training. `out` receives the models, their sweeps, a table (cuts.md) and a figure (cuts.png). With `train_steps`, each
model is also trained for a few steps. The same command resumes an interrupted comparison.
"""

from __future__ import annotations

from pathlib import Path

from recipes.command import run, split
from recipes.errors import UserError
from recipes.loader import load_recipe
from recipes.prune import METHODS_BY_COUNT
from recipes.schema import Recipe

OWN = {
    "out": "folder for the pruned models, their sweeps, cuts.md and cuts.png",
    "methods": f"pruning methods, separated by commas; default: {','.join(METHODS_BY_COUNT)}",
    "layers": "numbers of layers to remove, separated by commas; default 1,2,3",
    "train_steps": "also train each pruned model for this many steps (on one GPU, or on the CPUs) and sweep it again, "
    "to see which recovers most; default 0: no training",
    "page": "a Markdown page; the table replaces the part between its two cuts comments",
}


def main(arguments: list[str]) -> None:
    """Prunes and sweeps, writes table and figure, and prints the table."""
    values, rest = split(arguments, OWN, Recipe)
    recipe = load_recipe(rest).recipe
    if not values.get("out"):
        raise UserError("train.cuts: out=DIR is missing: name a folder for models, sweeps, table and figure")
    methods = _methods(values.get("methods") or ",".join(METHODS_BY_COUNT))
    layers = _layers(values.get("layers") or "1,2,3")
    steps = _steps(values.get("train_steps") or "0")
    page = Path(values["page"]) if values.get("page") else None
    from train.cuts.figure import cuts_figure
    from train.cuts.made import check_all, measured
    from train.cuts.table import check_page, comeback, markdown, with_table

    if page is not None:
        check_page(page)
    check_all(recipe, methods, layers)
    out = Path(values["out"])
    suite = recipe.sweep.deciding_suite.name
    cuts = measured(recipe, methods, layers, steps, out)
    from eval.show.curves import save  # loads matplotlib, which nothing needs earlier
    from runtime.files import write_whole

    table = markdown(cuts, suite) + comeback(cuts, suite)
    write_whole(out / "cuts.md", table)
    save(cuts_figure(cuts, suite), out / "cuts.png")
    if page is not None:
        write_whole(page, with_table(page.read_text(encoding="utf-8"), table))
        save(cuts_figure(cuts, suite), page.with_name("cuts.png"))
    print(f"{table}\nwritten {out / 'cuts.md'}, {out / 'cuts.png'}" + (f", {page}" if page else ""))


def _methods(text: str) -> list[str]:
    methods = [name.strip() for name in text.split(",")]
    unknown = [name for name in methods if name not in METHODS_BY_COUNT]
    if unknown or len(set(methods)) < len(methods):
        raise UserError(f"methods={text}: must be distinct ones of {', '.join(METHODS_BY_COUNT)}, separated by commas")
    return methods


def _layers(text: str) -> list[int]:
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and int(word) >= 1 for word in words) or len(set(words)) < len(words):
        raise UserError(f"layers={text}: must be distinct whole numbers of at least 1 with commas, such as 1,2,3")
    return sorted(map(int, words))


def _steps(text: str) -> int:
    if not text.isdecimal():
        raise UserError(f"train_steps={text}: must be a whole number of training steps, 0 for none")
    return int(text)


if __name__ == "__main__":
    run(main)
