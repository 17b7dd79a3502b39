"""The run folder: what was run, what came of it, and where it can go on. Rank 0 writes, whole or not at all."""

from __future__ import annotations

import json
import os
import platform
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from eval.numbers.summary import read_rows
from recipes.errors import UserError
from recipes.loader import Loaded, to_yaml
from recipes.schema import Recipe
from runtime.files import write_whole
from runtime.lineage import commit
from runtime.rows import latest_by, write_rows
from runtime.seal import COMPLETE

PACKAGES = ("torch", "transformers", "trl", "peft", "deepspeed", "datasets", "wandb", "accelerate")


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

    def ranks_begun(self, now: int) -> int:
        """The number of ranks with which the run of this folder began; `now` where nothing was begun."""
        facts = self.facts()
        return int(facts.get("ranks_begun", facts.get("ranks", now)))

    def put_rows(self, name: str, rows: Iterable[Mapping[str, Any]], key: tuple[str, ...]) -> None:
        """Adds rows to a JSON Lines file; a row whose `key` fields are there already takes the old one's place."""
        write_rows(self.path / name, latest_by([*read_rows(self.path / name), *rows], key))

    def forget_after(self, step: int) -> None:
        """Forgets the rows, the facts, and the marks of checkpoints, of steps that are to be done again."""
        for name in ("metrics.jsonl", "sweeps.jsonl", "skipped.jsonl"):
            rows = read_rows(self.path / name)
            kept = [row for row in rows if row["step"] <= step]
            if len(kept) < len(rows):
                write_rows(self.path / name, kept)
        for checkpoint in self.complete_checkpoints():
            if step_of(checkpoint) > step:
                (checkpoint / COMPLETE).unlink()
        facts = self.facts()
        skipped = {key: [each for each in facts[key] if each <= step] for key in ("skipped_steps",) if key in facts}
        undone = {key: None for key in ("early_stop", "best") if (facts.get(key) or {"step": step})["step"] > step}
        if skipped or undone:
            self.add_facts({**skipped, **undone})

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


def begin_record(folder: RunFolder, loaded: Loaded[Recipe], ranks: int, start: Mapping[str, Any]) -> None:
    """Writes recipe.yaml and the first facts of run.json (kept where a run goes on); `start` is what is known of this
    start and joins those before it."""
    overrides = (argument for argument in loaded.command if not argument.startswith("recipe="))
    header = f"# resolved from: {' '.join([f'recipe={loaded.path.name}', *overrides])}\n"
    write_whole(folder.path / "recipe.yaml", header + to_yaml(loaded.recipe))
    now, before = time.strftime("%Y-%m-%dT%H:%M:%S%z"), folder.facts()
    folder.add_facts(
        {
            "id": uuid.uuid4().hex[:12],
            "started": now,
            **before,
            "starts": [*before.get("starts", []), {"at": now, "ranks": ranks, **start}],
            "name": folder.path.name,
            "command": list(loaded.command),
            "commit": commit(),
            "ranks": ranks,
            "recipe": loaded.recipe.model_dump(mode="json"),
            "versions": {name: version(name) for name in PACKAGES},
            "hardware": {"machine": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()},
        }
    )
