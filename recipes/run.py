"""The `run` section: where a run is written, how it resumes, and when a process counts as hung."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from recipes.section import Section


class RunSection(Section):
    dir: Path | None = Field(default=None, description="the run folder; default runs/<recipe>-<time>")
    resume: str = Field(
        default="auto",
        description="auto: resume if run.dir has a COMPLETE checkpoint; never; or a checkpoint's path",
    )
    resume_force: bool = Field(
        default=False,
        description="resume although the recipe or the data changed; the differences are recorded (never with another "
        "number of ranks or another zero.stage)",
    )
    trust_checkpoint: Path | None = Field(
        default=None,
        description="load the pickles of this checkpoint although another run wrote it, or although they hold more "
        "than tensors and plain values: they can run code on this machine",
    )
    resume_ranks: Literal["same", "any"] = Field(
        default="same",
        description="any: a run may resume with another number of ranks; accumulation (or the micro batch) is "
        "adapted, so that the global batch stays the same",
    )
    report: Literal["live", "end", "none"] = Field(
        default="live",
        description="when to write report.html and the figures: live (also after sweeps, as long as all reports "
        "take at most 5 % of the time), end (only at the end) or none; python -m eval.report RUN writes them at any "
        "time",
    )
    stall_seconds: float = Field(
        default=1800.0,
        ge=1,
        description="a process counts as hung in training if it sees no finished step, no token of a sweep and no "
        "save for this long: it writes its stacks to logs/rank-N.log and ends with code 1",
    )
    cache_dir: Path = Field(
        default=Path("runs/cache"),
        description="folder in which sweeps of unpruned models, generated traces and scores of traces are kept for "
        "later runs; with several machines, on a shared file system",
    )
