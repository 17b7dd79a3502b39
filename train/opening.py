"""Opens a run folder: a fresh start, or a resume with the same settings from a complete, undamaged checkpoint."""

from __future__ import annotations

import dataclasses
import datetime
import os
import platform
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from recipes.agent import agents_run_id
from recipes.errors import UserError
from recipes.loader import Loaded, to_yaml
from recipes.reading import shown
from recipes.run import RunSection
from recipes.schema import Recipe
from runtime.files import link_out, read_rows, write_rows, write_whole
from runtime.lineage import commit
from runtime.ranks import Ranks, on_first_rank
from runtime.run_folder import RunFolder, step_of
from runtime.run_lock import alone_in, check_free
from runtime.seal import COMPLETE
from train.checkpoints import verify
from train.pickles import check_trusted

MAY_CHANGE_ON_RESUME = {"run", "wandb", "export", "dry_run"}
NEVER_FORCED = ("ranks", "zero.stage", "adapter", "model.dtype", "model.unpruned", "model.pruned", "prune")
"""keys that determine a checkpoint's files: with other values they would be unreadable or belong to another model"""
FACTS_OF_THE_SAME_RUN = ("data", "unpruned_fingerprint", "pruned_fingerprint", "protocol", "loss")
"""facts, in addition to the recipe, that must not change on resume"""
PACKAGES = ("torch", "transformers", "trl", "peft", "deepspeed", "datasets", "wandb", "accelerate")


@dataclass(frozen=True)
class Resume:
    """Where a run starts: from `checkpoint` (None: fresh start), which belongs to the run in the folder `origin`."""

    checkpoint: Path | None
    origin: RunFolder

    @property
    def step(self) -> int:
        """The step of the checkpoint; -1 for a fresh start, which keeps no earlier rows."""
        return step_of(self.checkpoint) if self.checkpoint else -1

    def told(self) -> str:
        """What a resumed run prints: where it continues."""
        return f"resume after step {self.step:,}, from {self.checkpoint}"

    def ranks_begun(self, now: int) -> int:
        """The number of ranks at the run's first start; `now` for a fresh start."""
        facts = self.origin.facts() if self.checkpoint else {}
        return int(facts.get("ranks_begun", facts.get("ranks", now)))


def folder_name(loaded: Loaded[Recipe]) -> Path:
    """The recipe's run.dir, or runs/<recipe>-<time>, under a W&B agent runs/<recipe>-<its run id>. UserError if another
    run is active in it; a dry run writes nothing there, so it is allowed."""
    own = agents_run_id() or time.strftime("%Y%m%d-%H%M%S")
    folder = loaded.recipe.run.dir or Path("runs") / f"{loaded.name}-{own}"
    if not loaded.recipe.dry_run:
        check_free(folder)
    return folder


def with_first_day(loaded: Loaded[Recipe], resume: Resume, ranks: Ranks) -> Loaded[Recipe]:
    """The recipe with the date for chat templates (`data.format.date`): the recipe's own, else the day on which the run
    began, so that a run resumed on another day has the same prompts. All ranks must call it."""
    data = loaded.recipe.data
    if data.format.date is not None:
        return loaded
    # rank 0 decides: at midnight ranks could read different days
    day = on_first_rank(ranks, lambda: _first_day(resume))
    dated = data.changed(format=data.format.changed(date=day))
    return dataclasses.replace(loaded, recipe=loaded.recipe.changed(data=dated))


def _first_day(resume: Resume) -> datetime.date | None:
    """The day in the record of the resumed run (None if an older version recorded none); for a fresh start, today."""
    if resume.checkpoint is None:
        return datetime.date.today()
    begun = resume.origin.facts()["recipe"]["data"]["format"].get("date")
    return None if begun is None else datetime.date.fromisoformat(begun)


def find_resume(folder: RunFolder, run: RunSection) -> Resume:
    """Where the run in `folder` starts, according to run.resume. UserError if it names no complete checkpoint."""
    if run.resume == "auto":
        complete = folder.complete_checkpoints()
        return Resume(complete[-1] if complete else None, folder)
    if run.resume == "never":
        if folder.record.exists():
            raise UserError(
                f"run.dir={folder.path} contains a run; name another folder, or use run.resume=auto to resume it"
            )
        return Resume(None, folder)
    checkpoint = Path(run.resume)
    if not (checkpoint / COMPLETE).is_file():
        raise UserError(
            f"run.resume={run.resume}: no complete checkpoint there (a file {COMPLETE} marks one); "
            "use auto, never or the path of a checkpoint-<step> folder"
        )
    step_of(checkpoint)
    origin = RunFolder(checkpoint.parent)
    if not origin.facts():
        raise UserError(
            f"run.resume={run.resume}: there is no run.json next to it, so chainmend cannot check whether it fits "
            "this recipe; name a checkpoint inside its run folder"
        )
    return Resume(checkpoint, origin)


@contextmanager
def opened(folder: RunFolder, resume: Resume, loaded: Loaded[Recipe], ranks: Ranks) -> Iterator[None]:
    """Locks the folder for this run and begins or continues its record (`open_run`); all ranks must call it."""
    with alone_in(folder.path, ranks, lambda text: print(text, flush=True)):
        on_first_rank(ranks, lambda: check_same_start(resume, folder, loaded.recipe.run))
        open_run(folder, resume, loaded, ranks)
        yield


def check_same_start(resume: Resume, folder: RunFolder, run: RunSection) -> None:
    """UserError if the folder has changed since `resume` was found: another run has resumed in it and ended."""
    if find_resume(folder, run) != resume:
        raise UserError(f"run.dir={folder.path}: another run used it while this one was starting; start this one again")


def open_run(folder: RunFolder, resume: Resume, loaded: Loaded[Recipe], ranks: Ranks) -> None:
    """Begins the record, or continues it from `resume` and removes everything after its step.

    UserError, before anything is written, if the checkpoint is damaged or the run began with other settings.
    """
    recipe = loaded.recipe
    forced = on_first_rank(
        ranks,
        lambda: sorted({line for run in {folder, resume.origin} for line in check_same_run(run, recipe, ranks.count)}),
    )
    if resume.checkpoint is not None:
        verify(resume.checkpoint, ranks)
        check_trusted(resume.checkpoint, resume.origin.facts().get("id"), recipe.run.trust_checkpoint, ranks)
    on_first_rank(ranks, lambda: _begin(folder, resume, loaded, ranks.count, forced))


def _begin(folder: RunFolder, resume: Resume, loaded: Loaded[Recipe], ranks: int, forced: list[str]) -> None:
    if link := link_out(folder.path, skipped=("wandb",)):  # W&B keeps links to its own logs
        raise UserError(
            f"run.dir={folder.path}: {link.relative_to(folder.path)} is a link to {os.readlink(link)}, outside the run "
            "folder, which is not followed; remove it"
        )
    begun = resume.ranks_begun(ranks)
    start = {"from_step": max(resume.step, 0), **({"forced": forced} if forced else {})}
    try:
        begin_record(folder, loaded, ranks, start)
        folder.add_facts({"ranks_begun": begun})
    except OSError as fault:
        raise UserError(f"run.dir={folder.path}: cannot be written ({fault.strerror}); name another folder") from None
    forget_after(folder, resume.step)
    if resume.checkpoint is not None:
        print(resume.told(), flush=True)


def begin_record(folder: RunFolder, loaded: Loaded[Recipe], ranks: int, start: Mapping[str, Any]) -> None:
    """Writes recipe.yaml and the first facts of run.json (kept on resume); `start` describes this start and is appended
    to the earlier ones."""
    overrides = (argument for argument in loaded.command if not argument.startswith("recipe="))
    header = f"# resolved from: {' '.join([f'recipe={loaded.path.name}', *overrides])}\n"
    write_whole(folder.recipe, header + to_yaml(loaded.recipe))
    now, before = time.strftime("%Y-%m-%dT%H:%M:%S%z"), folder.facts()
    folder.add_facts(
        {
            "id": agents_run_id() or uuid.uuid4().hex[:12],
            "started": now,
            **before,
            "starts": [*before.get("starts", []), {"at": now, "ranks": ranks, **start}],
            "name": folder.path.name,
            "command": list(loaded.command),
            "commit": commit(),
            "ranks": ranks,
            "recipe": loaded.recipe.model_dump(mode="json"),
            "versions": {name: version(name) for name in PACKAGES},
            "hardware": {
                "machine": platform.machine(),
                "cores": os.cpu_count(),
                "python": platform.python_version(),
            },
        }
    )


def forget_after(folder: RunFolder, step: int) -> None:
    """Removes the rows, the facts, and the seals of checkpoints, of steps that will be repeated."""
    for file in (folder.metrics, folder.sweeps, folder.skipped):
        rows = read_rows(file)
        if file.is_file():  # always rewritten: this also removes a row truncated by a kill
            write_rows(file, [row for row in rows if row["step"] <= step])
    for checkpoint in folder.complete_checkpoints():
        if step_of(checkpoint) > step:
            (checkpoint / COMPLETE).unlink()
    facts = folder.facts()
    skipped = {key: [other for other in facts[key] if other <= step] for key in ("skipped_steps",) if key in facts}
    undone = {key: None for key in ("early_stop", "best") if (facts.get(key) or {"step": step})["step"] > step}
    if skipped or undone:
        folder.add_facts({**skipped, **undone})


def check_same_run(folder: RunFolder, recipe: Recipe, ranks: int) -> list[str]:
    """UserError if a folder with complete checkpoints was made by another recipe or another number of ranks; returns
    the differences that `run.resume_force` allows."""
    facts = folder.facts()
    if not facts or not folder.complete_checkpoints():
        return []
    before, now = (
        {key: value for key, value in sections.items() if key not in MAY_CHANGE_ON_RESUME}
        for sections in (with_new_defaults(facts["recipe"]), recipe.model_dump(mode="json"))
    )
    if recipe.data.format.date is None:  # a recipe without a date takes that of the run (`with_first_day`)
        now["data"]["format"]["date"] = before["data"]["format"].get("date")
    allowed = facts["ranks"] if recipe.run.resume_ranks == "any" else ranks
    other_ranks = [
        f"{line}, allowed by run.resume_ranks=any" for line in _differences(facts["ranks"], allowed, "ranks")
    ]
    differences = [*_differences(before, now), *other_ranks]
    return _refuse_differences(folder, differences, recipe.run.resume_force)


def with_new_defaults(recipe: dict[str, Any]) -> dict[str, Any]:
    """A recipe recorded by an older version, with the defaults of keys added since; unchanged if this version refuses
    it."""
    try:
        return Recipe.model_validate(recipe).model_dump(mode="json")
    except ValidationError:
        return recipe


def check_same_facts(folder: RunFolder, resume: Resume, facts: Mapping[str, Any], force: bool) -> None:
    """UserError if the resumed run had other traces, other pruned weights, or another sweep protocol than `facts`. Only
    other traces can be forced; they are then recorded in `folder`."""
    origin = resume.origin
    if not origin.complete_checkpoints():
        return
    before = origin.facts()
    keys = sorted(set(FACTS_OF_THE_SAME_RUN) & before.keys() & facts.keys())
    differences = list(_differences({key: before[key] for key in keys}, {key: facts[key] for key in keys}))
    forced = _refuse_differences(origin, differences, force)
    if forced:
        *earlier, last = folder.facts()["starts"]
        folder.add_facts({"starts": [*earlier, {**last, "forced": [*last.get("forced", []), *forced]}]})


def _refuse_differences(folder: RunFolder, differences: list[str], force: bool) -> list[str]:
    """The differences, if all may be forced and `force` is set; otherwise UserError."""
    said = f"run.dir={folder.path} holds a run that differs in"
    fixed = [line for line in differences if _is_fixed(line)]
    if fixed:
        raise UserError(
            f"{said} {', '.join(fixed)}; its checkpoints depend on that, so run.resume_force cannot "
            "change it: restore the values, or name another run.dir"
        )
    if differences and not force:
        raise UserError(
            f"{said} {', '.join(differences)}; a run resumes only with the settings it began with: name "
            "another run.dir, restore the values, or resume anyway with run.resume_force=true, which is recorded"
        )
    return differences


def _is_fixed(line: str) -> bool:
    """Whether a difference, which begins with its key, is one of NEVER_FORCED."""
    key = line.split(" ", 1)[0]
    return (
        key in ("protocol", "pruned_fingerprint", "unpruned_fingerprint")
        or key.startswith("protocol.")
        or any(key == fixed or key.startswith(fixed + ".") for fixed in NEVER_FORCED)
    )


def _differences(before: Any, now: Any, key: str = "") -> Iterator[str]:
    """Dotted keys with both values, for each difference."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in sorted(before.keys() | now.keys()):
            yield from _differences(before.get(name), now.get(name), f"{key}.{name}" if key else name)
    elif before != now:
        yield f"{key} ({shown(before)} before, {shown(now)} now)"
