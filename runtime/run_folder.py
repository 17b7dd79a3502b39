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
        """One row per logged step."""
        return self.path / "metrics.jsonl"

    @property
    def sweeps(self) -> Path:
        """One row per (step, model, suite, budget), and one with budget null per sweep of a suite."""
        return self.path / "sweeps.jsonl"

    @property
    def skipped(self) -> Path:
        """One row per step that the guard skipped."""
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
        """The confirming sweep, on held-out problems, of the kept checkpoint and both references; its `sweeps` and
        `samples` are laid out as here."""
        return RunFolder(self.path / "confirmed")

    @property
    def sweeping(self) -> Path:
        """Saved weights whose sweep is still to come."""
        return self.path / "sweeping"

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def pruned(self) -> Path:
        """The pruned model, if the recipe makes it."""
        return self.path / "pruned"

    @property
    def export(self) -> Path:
        """The recovered model as a plain checkpoint."""
        return self.path / "export"

    @property
    def logs(self) -> Path:
        """One log per rank."""
        return self.path / "logs"

    @property
    def deepspeed(self) -> Path:
        """The configuration that DeepSpeed receives."""
        return self.path / "deepspeed.json"

    @property
    def universal(self) -> Path:
        """Copies of checkpoints that any number of ranks can read; removed after the first step."""
        return self.path / ".universal"

    def checkpoint(self, step: int) -> Path:
        return self.path / f"checkpoint-{step}"

    def checkpoints(self) -> list[Path]:
        """All checkpoints, complete or not, oldest first."""
        return sorted(self.path.glob("checkpoint-*"), key=step_of)

    def complete_checkpoints(self) -> list[Path]:
        """Complete checkpoints, oldest first."""
        complete = [path for path in self.path.glob("checkpoint-*") if (path / COMPLETE).is_file()]
        return sorted(complete, key=step_of)

    def facts(self) -> dict[str, Any]:
        """The contents of run.json, without removed recipe keys; {} before the first write."""
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
