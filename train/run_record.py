"""The run folder: what was run, what came of it, and where it can go on. Rank 0 writes, whole or not at all."""

from __future__ import annotations

import json
import os
import platform
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from data_prep.lineage import commit
from eval.summary import read_rows
from recipes.errors import UserError
from recipes.loader import Loaded, to_yaml
from recipes.reading import shown
from recipes.schema import Recipe, RunSection

COMPLETE = "COMPLETE"
PACKAGES = ("torch", "transformers", "trl", "peft", "deepspeed", "datasets", "wandb", "accelerate")
MAY_CHANGE_ON_RESUME = {"run", "wandb", "export", "dry_run"}


def write_whole(path: Path, text: str) -> None:
    """Writes under a temporary name, then renames."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


@dataclass(frozen=True)
class RunFolder:
    """Paths and files of one run."""

    path: Path

    def facts(self) -> dict[str, Any]:
        """What run.json holds; {} before the first write."""
        file = self.path / "run.json"
        return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}

    def add_facts(self, facts: Mapping[str, Any]) -> None:
        """Merges `facts` into run.json."""
        write_whole(self.path / "run.json", json.dumps({**self.facts(), **facts}, indent=2, ensure_ascii=False) + "\n")

    def put_rows(self, name: str, rows: Iterable[Mapping[str, Any]], key: tuple[str, ...]) -> None:
        """Adds rows to a JSON Lines file; a row whose `key` fields are there already takes the old one's place."""
        kept = {tuple(row.get(field) for field in key): row for row in [*read_rows(self.path / name), *rows]}
        write_whole(self.path / name, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept.values()))

    def forget_after(self, step: int) -> None:
        """Forgets the rows, and the marks of checkpoints, of steps that are to be done again."""
        for name in ("metrics.jsonl", "sweeps.jsonl"):
            kept = [row for row in read_rows(self.path / name) if row["step"] <= step]
            write_whole(self.path / name, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept))
        for checkpoint in self.complete_checkpoints():
            if step_of(checkpoint) > step:
                (checkpoint / COMPLETE).unlink()

    def complete_checkpoints(self) -> list[Path]:
        """Checkpoints that were written to the end, oldest first."""
        found = [path for path in self.path.glob("checkpoint-*") if (path / COMPLETE).is_file()]
        return sorted(found, key=step_of)


def step_of(checkpoint: Path) -> int:
    """The step of a `checkpoint-<step>` folder; UserError for another name."""
    number = checkpoint.name.removeprefix("checkpoint-")
    if not number.isdigit():
        raise UserError(f"run.resume: {checkpoint} is not a checkpoint folder; name one like runs/NAME/checkpoint-100")
    return int(number)


def folder_name(loaded: Loaded[Recipe]) -> Path:
    """The recipe's run.dir, or runs/<recipe>-<time>."""
    return loaded.recipe.run.dir or Path("runs") / f"{loaded.name}-{time.strftime('%Y%m%d-%H%M%S')}"


def resume_point(folder: RunFolder, run: RunSection) -> Path | None:
    """The checkpoint to go on from, by run.resume; None for a fresh start. UserError where it is not there."""
    if run.resume == "auto":
        complete = folder.complete_checkpoints()
        return complete[-1] if complete else None
    if run.resume == "never":
        if (folder.path / "run.json").exists():
            raise UserError(f"run.dir={folder.path} holds a run already; name another folder, "
                            "or run.resume=auto to go on with it")
        return None
    checkpoint = Path(run.resume)
    if not (checkpoint / COMPLETE).is_file():
        raise UserError(f"run.resume={run.resume}: no complete checkpoint there (a file {COMPLETE} marks one); "
                        "write auto, never or the path of a checkpoint-<step> folder")
    if not RunFolder(checkpoint.parent).facts():
        raise UserError(f"run.resume={run.resume}: no run.json beside it, so it cannot be told whether it fits "
                        "this recipe; name a checkpoint inside its run folder")
    return checkpoint


def check_same_run(folder: RunFolder, recipe: Recipe, ranks: int) -> None:
    """UserError where a folder with complete checkpoints was made by another recipe or another number of ranks."""
    facts = folder.facts()
    if not facts or not folder.complete_checkpoints():
        return
    before, now = ({key: value for key, value in each.items() if key not in MAY_CHANGE_ON_RESUME}
                   for each in (facts["recipe"], recipe.model_dump(mode="json")))
    wanted = facts["ranks"] if recipe.run.resume_ranks == "any" else ranks
    other_ranks = [f"{line}, allowed by run.resume_ranks=any" for line in _differences(facts["ranks"], wanted, "ranks")]
    _refuse_differences(folder, [*_differences(before, now), *other_ranks])


def check_same_facts(folder: RunFolder, facts: Mapping[str, Any]) -> None:
    """UserError where a folder with complete checkpoints was made of other traces, other pruned weights, or another
    protocol of its sweeps, of those that `facts` name."""
    if folder.complete_checkpoints():
        keys = {"data", "pruned_fingerprint", "protocol"} & folder.facts().keys() & facts.keys()
        _refuse_differences(folder, [*_differences({key: folder.facts()[key] for key in sorted(keys)},
                                                   {key: facts[key] for key in sorted(keys)})])


def _refuse_differences(folder: RunFolder, differences: list[str]) -> None:
    if differences:
        raise UserError(f"run.dir={folder.path} holds a run that differs in {', '.join(differences)}; "
                        "a run goes on only as it began: name another run.dir, or put the values back")


def _differences(before: Any, now: Any, key: str = "") -> Iterator[str]:
    """Dotted keys with both values, where they differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in sorted(before.keys() | now.keys()):
            yield from _differences(before.get(name), now.get(name), f"{key}.{name}" if key else name)
    elif before != now:
        yield f"{key} ({shown(before)} before, {shown(now)} now)"


def begin_record(folder: RunFolder, loaded: Loaded[Recipe], ranks: int) -> None:
    """Writes recipe.yaml and the first facts of run.json (kept where a run goes on)."""
    overrides = (argument for argument in loaded.command if not argument.startswith("recipe="))
    header = f"# resolved from: {' '.join([f'recipe={loaded.path.name}', *overrides])}\n"
    write_whole(folder.path / "recipe.yaml", header + to_yaml(loaded.recipe))
    fresh = {"id": uuid.uuid4().hex[:12], "started": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
    folder.add_facts({
        **fresh, **folder.facts(), "name": folder.path.name, "command": list(loaded.command), "commit": commit(),
        "ranks": ranks, "recipe": loaded.recipe.model_dump(mode="json"),
        "versions": {name: version(name) for name in PACKAGES},
        "hardware": {"machine": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()}})
