"""Opening a run folder: a fresh start, or going on as it began, from a checkpoint that is whole."""

from __future__ import annotations

import dataclasses
import datetime
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from recipes.errors import UserError
from recipes.loader import Loaded
from recipes.reading import shown
from recipes.run import RunSection
from recipes.schema import Recipe
from runtime.ranks import Ranks, on_first_rank
from runtime.seal import COMPLETE
from train.hooks.checkpoints import verify
from train.run_record import RunFolder, begin_record, step_of

MAY_CHANGE_ON_RESUME = {"run", "wandb", "export", "dry_run"}
NEVER_FORCED = ("ranks", "zero.stage", "adapter", "model.dtype", "model.unpruned", "model.pruned", "prune")
"""what the files of a checkpoint are made for: with another one they could not be read, or would be another model's"""


def open_run(folder: RunFolder, loaded: Loaded[Recipe], ranks: Ranks) -> Path | None:
    """Begins the record, or goes on with one; the checkpoint to resume from, or None. What came after is forgotten.

    UserError, before anything is written, where the checkpoint is damaged or the run began otherwise.
    """
    checkpoint, forced = on_first_rank(ranks, lambda: _choose(folder, loaded.recipe, ranks.count))
    if checkpoint is not None:
        verify(checkpoint, ranks)
    on_first_rank(ranks, lambda: _begin(folder, loaded, ranks.count, (checkpoint, forced)))
    return checkpoint


def _choose(folder: RunFolder, recipe: Recipe, ranks: int) -> tuple[Path | None, list[str]]:
    """The checkpoint to go on from, and the differences that are forced."""
    checkpoint = resume_point(folder, recipe.run)
    origins = {folder, RunFolder(checkpoint.parent)} if checkpoint else {folder}
    return checkpoint, sorted({line for origin in origins for line in check_same_run(origin, recipe, ranks)})


def _begin(folder: RunFolder, loaded: Loaded[Recipe], ranks: int, chosen: tuple[Path | None, list[str]]) -> None:
    checkpoint, forced = chosen
    step = step_of(checkpoint) if checkpoint else -1
    begun = RunFolder(checkpoint.parent).ranks_begun(ranks) if checkpoint else ranks
    start = {"from_step": max(step, 0), **({"forced": forced} if forced else {})}
    try:
        begin_record(folder, loaded, ranks, start)
        folder.add_facts({"ranks_begun": begun})
    except OSError as fault:
        raise UserError(f"run.dir={folder.path}: cannot be written ({fault.strerror}); name another folder") from None
    folder.forget_after(step)


def folder_name(loaded: Loaded[Recipe]) -> Path:
    """The recipe's run.dir, or runs/<recipe>-<time>."""
    return loaded.recipe.run.dir or Path("runs") / f"{loaded.name}-{time.strftime('%Y%m%d-%H%M%S')}"


def with_first_day(loaded: Loaded[Recipe], folder: RunFolder, ranks: Ranks) -> Loaded[Recipe]:
    """The recipe with the day that chat templates may write (`data.format.date`): the recipe's own, else that on which
    the run began, so that a run resumed on another day has the same prompts. All ranks must call it."""
    recipe = loaded.recipe
    if recipe.data.format.date is not None:
        return loaded
    # rank 0 decides: at midnight the ranks of a run could read two days
    day = on_first_rank(ranks, lambda: _first_day(folder, recipe.run))
    fmt = recipe.data.format.model_copy(update={"date": day})
    data = recipe.data.model_copy(update={"format": fmt})
    return dataclasses.replace(loaded, recipe=recipe.model_copy(update={"data": data}))


def _first_day(folder: RunFolder, run: RunSection) -> datetime.date | None:
    """The day in the record of the run that is resumed, None where an earlier version wrote none; else today."""
    checkpoint = resume_point(folder, run)
    if checkpoint is None:
        return datetime.date.today()
    begun = RunFolder(checkpoint.parent).facts()["recipe"]["data"]["format"].get("date")
    return None if begun is None else datetime.date.fromisoformat(begun)


def resume_point(folder: RunFolder, run: RunSection) -> Path | None:
    """The checkpoint to go on from, by run.resume; None for a fresh start. UserError where it is not there."""
    if run.resume == "auto":
        complete = folder.complete_checkpoints()
        return complete[-1] if complete else None
    if run.resume == "never":
        if (folder.path / "run.json").exists():
            raise UserError(
                f"run.dir={folder.path} holds a run already; name another folder, or run.resume=auto to go on with it"
            )
        return None
    checkpoint = Path(run.resume)
    if not (checkpoint / COMPLETE).is_file():
        raise UserError(
            f"run.resume={run.resume}: no complete checkpoint there (a file {COMPLETE} marks one); "
            "write auto, never or the path of a checkpoint-<step> folder"
        )
    if not RunFolder(checkpoint.parent).facts():
        raise UserError(
            f"run.resume={run.resume}: no run.json beside it, so it cannot be told whether it fits "
            "this recipe; name a checkpoint inside its run folder"
        )
    return checkpoint


def check_same_run(folder: RunFolder, recipe: Recipe, ranks: int) -> list[str]:
    """UserError where a folder with complete checkpoints was made by another recipe or another number of ranks; the
    differences that `run.resume_force` allows."""
    facts = folder.facts()
    if not facts or not folder.complete_checkpoints():
        return []
    before, now = (
        {key: value for key, value in each.items() if key not in MAY_CHANGE_ON_RESUME}
        for each in (facts["recipe"], recipe.model_dump(mode="json"))
    )
    if recipe.data.format.date is None:  # a recipe that names no day takes that of the run (`with_first_day`)
        now["data"]["format"]["date"] = before["data"]["format"].get("date")
    wanted = facts["ranks"] if recipe.run.resume_ranks == "any" else ranks
    other_ranks = [f"{line}, allowed by run.resume_ranks=any" for line in _differences(facts["ranks"], wanted, "ranks")]
    differences = [*_differences(before, now), *other_ranks]
    return _refuse_differences(folder, differences, recipe.run.resume_force)


def check_same_facts(folder: RunFolder, facts: Mapping[str, Any], run: RunSection) -> None:
    """UserError where a folder with complete checkpoints was made of other traces, other pruned weights, or another
    protocol of its sweeps, of those that `facts` name; where run.resume is a path, the folder of that checkpoint too.
    Other traces alone can be forced, and are then recorded."""
    origin = folder if run.resume in ("auto", "never") else RunFolder(Path(run.resume).parent)
    if origin.complete_checkpoints():
        before = origin.facts()
        keys = sorted({"data", "pruned_fingerprint", "protocol"} & before.keys() & facts.keys())
        differences = list(_differences({key: before[key] for key in keys}, {key: facts[key] for key in keys}))
        forced = _refuse_differences(origin, differences, run.resume_force)
        if forced:
            *earlier, last = folder.facts()["starts"]
            folder.add_facts({"starts": [*earlier, {**last, "forced": [*last.get("forced", []), *forced]}]})


def _refuse_differences(folder: RunFolder, differences: list[str], force: bool) -> list[str]:
    """The differences, all of which may be forced and are; UserError where one may not, or nothing is forced."""
    said = f"run.dir={folder.path} holds a run that differs in"
    fixed = [line for line in differences if _is_fixed(line)]
    if fixed:
        raise UserError(
            f"{said} {', '.join(fixed)}; its checkpoints are made for that, and run.resume_force cannot "
            "change it: put the values back, or name another run.dir"
        )
    if differences and not force:
        raise UserError(
            f"{said} {', '.join(differences)}; a run goes on only as it began: name another run.dir, put "
            "the values back, or go on all the same with run.resume_force=true, which is recorded"
        )
    return differences


def _is_fixed(line: str) -> bool:
    """Whether a difference is one of NEVER_FORCED; it begins with its key."""
    key = line.split(" ", 1)[0]
    return (
        key in ("protocol", "pruned_fingerprint")
        or key.startswith("protocol.")
        or any(key == fixed or key.startswith(fixed + ".") for fixed in NEVER_FORCED)
    )


def _differences(before: Any, now: Any, key: str = "") -> Iterator[str]:
    """Dotted keys with both values, where they differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in sorted(before.keys() | now.keys()):
            yield from _differences(before.get(name), now.get(name), f"{key}.{name}" if key else name)
    elif before != now:
        yield f"{key} ({shown(before)} before, {shown(now)} now)"
