"""The folder of a run: the names of its files, its record (run.json), its rows and its complete checkpoints.

`train` writes it, on rank 0; `eval` reads it for the report and for comparisons.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes.errors import UserError
from recipes.given_up import without_given_up
from runtime.files import write_whole
from runtime.seal import COMPLETE


@dataclass(frozen=True)
class RunFolder:
    """Paths and files of one run."""

    path: Path

    @property
    def record(self) -> Path:
        """run.json: what was run, with which versions, data, plan, protocol and seeds."""
        return self.path / "run.json"

    @property
    def recipe(self) -> Path:
        """The resolved recipe."""
        return self.path / "recipe.yaml"

    @property
    def metrics(self) -> Path:
        """One row for each logged step."""
        return self.path / "metrics.jsonl"

    @property
    def sweeps(self) -> Path:
        """One row for each (step, model, suite, budget), and one with budget null for each sweep of a suite."""
        return self.path / "sweeps.jsonl"

    @property
    def skipped(self) -> Path:
        """One row for each step that the guard left out."""
        return self.path / "skipped.jsonl"

    @property
    def samples(self) -> Path:
        """Every thought and answer with its grade, by suite."""
        return self.path / "samples"

    @property
    def problems(self) -> Path:
        """Questions and answers of the suite that decides: rows {"suite", "id", "question", "answer"}."""
        return self.path / "problems.jsonl"

    @property
    def probes(self) -> Path:
        """Prompts on which the export is tried, as token ids."""
        return self.path / "probes.json"

    @property
    def confirmed(self) -> RunFolder:
        """The sweep of the kept checkpoint, and of both references, on problems that no sweep of the run saw; `sweeps`
        and `samples` in there are as they are here."""
        return RunFolder(self.path / "confirmed")

    @property
    def sweeping(self) -> Path:
        """Saved weights that wait for their sweep."""
        return self.path / "sweeping"

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def pruned(self) -> Path:
        """The pruned model, where the recipe has it cut."""
        return self.path / "pruned"

    @property
    def export(self) -> Path:
        """The recovered model as a plain checkpoint."""
        return self.path / "export"

    @property
    def logs(self) -> Path:
        """One log for each rank."""
        return self.path / "logs"

    @property
    def deepspeed(self) -> Path:
        """The configuration as DeepSpeed gets it."""
        return self.path / "deepspeed.json"

    @property
    def universal(self) -> Path:
        """Copies of checkpoints that any number of ranks can read; gone after the first step."""
        return self.path / ".universal"

    def checkpoint(self, step: int) -> Path:
        return self.path / f"checkpoint-{step}"

    def checkpoints(self) -> list[Path]:
        """All checkpoints, complete or not, oldest first."""
        return sorted(self.path.glob("checkpoint-*"), key=step_of)

    def complete_checkpoints(self) -> list[Path]:
        """Checkpoints that were written to the end, oldest first."""
        complete = [path for path in self.path.glob("checkpoint-*") if (path / COMPLETE).is_file()]
        return sorted(complete, key=step_of)

    def facts(self) -> dict[str, Any]:
        """What run.json holds, without recipe keys that earlier versions had; {} before the first write."""
        facts: dict[str, Any] = json.loads(self.record.read_text(encoding="utf-8")) if self.record.is_file() else {}
        return {**facts, "recipe": without_given_up(facts["recipe"])} if "recipe" in facts else facts

    def add_facts(self, facts: Mapping[str, Any]) -> None:
        """Merges `facts` into run.json."""
        write_whole(self.record, json.dumps({**self.facts(), **facts}, indent=2, ensure_ascii=False) + "\n")


def step_of(checkpoint: Path) -> int:
    """The step of a `checkpoint-<step>` folder; UserError for another name."""
    number = checkpoint.name.removeprefix("checkpoint-")
    if not number.isdigit():
        raise UserError(f"run.resume: {checkpoint} is not a checkpoint folder; name one like runs/NAME/checkpoint-100")
    return int(number)
