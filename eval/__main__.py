"""`python -m eval model=DIR[,DIR …] recipe=FILE [out=DIR]`: the recipe's budget sweep on checkpoints in folders.

The sweep is the same as in training, so the numbers are comparable. With `out`, the rows (sweeps.jsonl) and samples of
each model are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from recipes.command import run, split
from recipes.errors import UserError
from recipes.loader import load_recipe
from recipes.schema import Recipe


def main(arguments: list[str]) -> None:
    """Sweeps each model and prints one table per suite."""
    keys = {
        "model": "folder or Hub id of a checkpoint, or folder of a LoRA adapter; separate several with commas",
        "base": "folder or Hub id of the adapter's base model, if the adapter names none or it has moved",
        "out": "folder for rows and samples; a killed sweep resumes from there",
        "step": "training step recorded in the rows (default 0)",
    }
    values, rest = split(arguments, keys, Recipe)
    recipe = load_recipe(rest).recipe
    if not values.get("model"):
        raise UserError("eval: model=DIR is missing; name the checkpoint to sweep")
    out = Path(values["out"]) if values.get("out") else None
    names, step = values["model"].split(","), values.get("step", "0")
    if not step.isdigit():
        raise UserError(f"step={step}: must be a whole number of training steps")
    folders = [folder_of(name) for name in names]
    if out and len(set(folders)) < len(folders):
        raise UserError(
            f"model={values['model']}: with out=, the results of each model go to a folder of its name, and the names "
            f"{', '.join(folders)} are not distinct; sweep the models one by one, each with its own out="
        )
    base = values.get("base", "")
    rows = {
        name: sweep_checkpoint(name, recipe, out / folder_of(name) if out else None, int(step), base) for name in names
    }
    for suite in recipe.sweep.suites:
        print(suite_table(rows, suite.name) + "\n")


def folder_of(model: str) -> str:
    """The name of a model's result folder below `out`: that of the model's own folder, whatever path leads there
    (`..` and `.` are not names)."""
    name = Path(model).name
    return Path(model).resolve().name if name in ("", "..") else name


def sweep_checkpoint(path: str, recipe: Recipe, out: Path | None, step: int, base: str = "") -> list[dict[str, Any]]:
    """The rows of one checkpoint on every suite of the recipe.

    If `out` is given, everything is kept there: a killed sweep resumes, and a complete one is not repeated.
    """
    from data_prep.models import context_tokens, load_config
    from eval.checkpoint import checkpoint_hash, checkpoint_tokenizer, checkpoint_weights, fetch, find_checkpoint
    from eval.engines.choose import version_of
    from eval.engines.held_models import check_held
    from eval.kept_sweep import KeptSweep, Place
    from eval.numbers.summary import sweep_rows
    from eval.show.answers import room_to_reason
    from eval.sweep import check_context, make_sweep_spec
    from eval.types import SWEEP_KEY
    from runtime.files import put_rows, writing_fault
    from runtime.libraries import calm_libraries
    from runtime.ranks import ALONE
    from runtime.run_folder import RunFolder

    calm_libraries(rank=0)
    version_of(recipe.sweep.engine)  # a missing engine is an error before anything is loaded
    checkpoint = find_checkpoint(path, base)
    if recipe.sweep.engine.takes_checkpoints:
        check_held(recipe.sweep.engine, path, load_config(checkpoint.base, recipe.model))  # before a download
        fetch(checkpoint)
    spec = make_sweep_spec(recipe.sweep, recipe.data.format, checkpoint_tokenizer(checkpoint, recipe.model))
    print(f"{path}: format {spec.protocol.format}")
    if room := room_to_reason(spec.protocol.budgets, spec.protocol.answer_tokens):
        print(f"{path}: {room}")
    reach = check_context(spec, context_tokens(checkpoint.base, recipe.model), "sweep.budgets")
    if recipe.sweep.engine.takes_checkpoints:
        check_held(recipe.sweep.engine, path, load_config(checkpoint.base, recipe.model), reach)
    if out is not None and (fault := writing_fault(out)):
        raise UserError(f"out={out.parent}: cannot be written ({fault}); name another folder")
    with nullcontext(out) if out is not None else TemporaryDirectory() as folder:
        place = Place(RunFolder(Path(folder)).samples, "run", step)
        sweeps = KeptSweep(spec, place, checkpoint_hash(checkpoint, recipe.model), ALONE).run(
            lambda: checkpoint_weights(checkpoint, recipe.model, recipe.sweep.engine)
        )
    rows = [row for sweep in sweeps.values() for row in sweep_rows(sweep, None, None, recipe.sweep.verdict)]
    if out is not None:
        put_rows(RunFolder(out).sweeps, rows, SWEEP_KEY)
    return rows


def suite_table(rows: dict[str, list[dict[str, Any]]], suite: str) -> str:
    """Accuracy with its interval by budget, gain, and answer tokens, one line per model; warnings below.

    rows: by the model's name.
    """
    from eval.numbers.summary import newest
    from eval.show.answers import answer_cell, long_answers
    from eval.show.tables import align, cell, gain_cell, way_of_asking

    lines: list[Sequence[str]] = []
    warnings: list[str] = []
    for name, of_model in rows.items():
        warnings += [f"{name}: {warning.removeprefix('run: ')}" for warning in long_answers(of_model, suite)]
        at_budgets, of_sweep = newest(of_model, "run", suite)
        if not lines:
            heads = [f"{row['budget']:,}" if row["budget"] else way_of_asking(row) for row in at_budgets]
            lines.append([suite, *heads, "gain per doubling", "answer tokens"])
        lines.append([name, *map(cell, at_budgets), gain_cell(of_sweep), answer_cell(at_budgets[-1])])
    return "\n".join([align(lines), *warnings])


if __name__ == "__main__":
    run(main)
