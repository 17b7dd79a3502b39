"""Checkpoints of a run: sealed once written, verified before they are read; the newest and the best are kept."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open

from eval.numbers.selection import best_step
from recipes.errors import UserError
from recipes.guard import sweep_metric
from recipes.schema import ExportSection
from runtime.files import read_rows, write_whole
from runtime.pulse import beat
from runtime.ranks import Ranks, from_every_rank, on_first_rank
from runtime.run_folder import RunFolder, step_of
from runtime.seal import COMPLETE, Facts, damage, damage_of, facts_of, files_of, read_seal, seal_text, share_of
from train.exits import Stopped


def complete(checkpoint: Path, step: int, ranks: Ranks) -> None:
    """Marks a checkpoint as complete once every rank has written its part; each rank hashes its share of the files.

    Stopped if a saved weight is NaN or infinite: such a checkpoint is never marked.
    """
    ranks.meet()
    names: Sequence[str] = on_first_rank(ranks, lambda: _files_without_card(checkpoint))

    def hashed() -> tuple[dict[str, Facts], list[str]]:
        facts, broken = {}, []
        for name in share_of(names, ranks.rank, ranks.count):
            facts[name] = facts_of(checkpoint / name)
            broken += _broken_tensors(checkpoint / name)
            beat()
        return facts, broken

    # hashing large weights takes minutes; each rank reads its share and then waits for the others
    shares = from_every_rank(ranks, hashed)
    files = {name: facts for of_rank, _ in shares for name, facts in of_rank.items()}
    broken = [name for _, of_rank in shares for name in of_rank]
    if broken:
        raise Stopped(
            f"{checkpoint.name} is not marked as complete: {len(broken)} tensors hold numbers that are not "
            f"finite, the first is {broken[0]}; resume from the previous checkpoint with a lower learning rate"
        )
    run = RunFolder(checkpoint.parent)
    on_first_rank(ranks, lambda: write_whole(checkpoint / COMPLETE, seal_text(step, files, run.facts().get("id"))))


def _files_without_card(checkpoint: Path) -> list[str]:
    """The files of a checkpoint. PEFT's model card is deleted first, since it says nothing about the run."""
    (checkpoint / "README.md").unlink(missing_ok=True)
    return files_of(checkpoint)


def _broken_tensors(file: Path) -> list[str]:
    """Names of tensors with NaN or infinity in a safetensors file."""
    if file.suffix != ".safetensors":
        return []
    with safe_open(file, "pt") as opened:
        return [
            name
            for name in opened.keys()  # noqa: SIM118 - not a dict
            if not bool(torch.isfinite(opened.get_tensor(name)).all())
        ]


def verify(checkpoint: Path, ranks: Ranks) -> None:
    """UserError on all ranks if a file of a checkpoint is missing, truncated or changed; each rank reads its share."""

    def readable() -> dict[str, tuple[int, str]] | None:
        try:
            return read_seal(checkpoint)
        except (ValueError, KeyError, TypeError) as fault:
            raise UserError(_refusal(checkpoint, [f"{COMPLETE} is damaged ({fault})"])) from None

    marked = on_first_rank(ranks, readable)
    if marked is None:
        on_first_rank(
            ranks,
            lambda: print(
                f"resume {checkpoint}: an older version wrote it without hashes, so its files are not verified",
                flush=True,
            ),
        )
        return
    mine = share_of(sorted(marked, key=lambda name: -marked[name][0]), ranks.rank, ranks.count)
    shares = from_every_rank(ranks, lambda: damage(checkpoint, mine, marked))
    damages = [line for share in shares for line in share]
    if damages:
        raise UserError(_refusal(checkpoint, damages))


def check_whole(checkpoint: Path) -> None:
    """`verify` in a single process, which reads all files."""
    damages = damage_of(checkpoint)
    if damages:
        raise UserError(_refusal(checkpoint, damages))


def _refusal(checkpoint: Path, damages: Sequence[str]) -> str:
    """The damage, and how to resume from the previous checkpoint."""
    folder = RunFolder(checkpoint.parent)
    before = [other for other in folder.complete_checkpoints() if step_of(other) < step_of(checkpoint)]
    more = f" (and {len(damages) - 3} more files)" if len(damages) > 3 else ""
    remedy = (
        f"run.resume={before[-1]} resumes from the previous one"
        if before
        else "there is no earlier complete one; restore the file, or start again in another run.dir"
    )
    return f"{checkpoint} is damaged: {'; '.join(damages[:3])}{more}; {remedy}"


@dataclass(frozen=True)
class Kept:
    """Which checkpoints are kept: the `newest` N (None: all), and the best by `metric` if one is set."""

    newest: int | None
    best: str | None = None

    def best_of(self, folder: RunFolder) -> tuple[int, float] | None:
        """(step, value) of the best complete checkpoint among those that were swept."""
        if self.best is None:
            return None
        steps = [step_of(checkpoint) for checkpoint in folder.complete_checkpoints()]
        return best_step(read_rows(folder.sweeps), sweep_metric(self.best), steps)


def kept_checkpoint(folder: RunFolder, section: ExportSection, metric: str | None) -> Path:
    """The checkpoint to confirm and export: the newest complete one, the best one that was swept, or that of a step."""
    complete = folder.complete_checkpoints()
    if section.checkpoint == "last":
        return complete[-1]
    if isinstance(section.checkpoint, int):
        checkpoint = folder.checkpoint(section.checkpoint)
        if checkpoint not in complete:
            steps = ", ".join(str(step_of(path)) for path in complete)
            raise UserError(f"checkpoint={section.checkpoint}: the complete checkpoints in {folder.path} are {steps}")
        return checkpoint
    if metric is None:
        raise UserError(f"checkpoint=best: the run {folder.path} was made without keep_best; use checkpoint=last")
    best = Kept(None, metric).best_of(folder)
    if best is None:
        raise UserError(f"checkpoint=best: no checkpoint of {folder.path} has a sweep with {metric}; use last")
    return folder.checkpoint(best[0])


def no_room(folder: RunFolder, said: str) -> str:
    """The message for a full disk. An incomplete checkpoint is removed, since it is of no use."""
    complete = folder.complete_checkpoints()
    for half in folder.path.glob("checkpoint-*"):
        if half not in complete and step_of(half) > (step_of(complete[-1]) if complete else -1):
            shutil.rmtree(half, ignore_errors=True)
    last = (
        f"the last complete checkpoint is {complete[-1]}, untouched"
        if complete
        else "there is no complete checkpoint yet"
    )
    return (
        f"run.dir={folder.path}: a file could not be written ({said}); {shutil.disk_usage(folder.path).free:,} "
        f"bytes are free there\n{last}; free some space and run the same command to resume"
    )
