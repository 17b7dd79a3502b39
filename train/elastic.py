"""Resumes with another number of ranks (`run.resume_ranks=any`): the same global batches, the same states.

Gradient accumulation is adjusted to the number of ranks; if it is already at its minimum, the micro batch is.
DeepSpeed's universal checkpoint reassembles the states that ZeRO has sharded for the old ranks, and any number of ranks
can load its part from it.
"""

from __future__ import annotations

import os
import shutil
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

from recipes.errors import UserError
from recipes.schema import Recipe
from runtime.ranks import Ranks, on_first_rank
from runtime.run_folder import RunFolder
from train.batch import Batch
from train.opening import Resume

LATEST = "latest_universal"


def fit_ranks(resume: Resume, recipe: Recipe, ranks: Ranks) -> Recipe:
    """The recipe with the micro batch and the accumulation that keep the global batch of the run's first start.

    UserError if there is no such pair. A new run, or one that resumes with the same number of ranks, keeps its recipe.
    """
    begun = on_first_rank(ranks, lambda: _ranks_begun(resume, recipe, ranks.count))
    if begun == ranks.count:
        return recipe
    batch = Batch.of(recipe.trainer)
    if batch.drop_last:
        raise UserError(
            "run.resume_ranks=any with trainer.dataloader_drop_last=true: the dropped traces depend on the "
            "number of ranks, so the run would not resume with the same batches; start as many ranks as before"
        )
    micro, steps = same_global_batch(batch.micro_batch, batch.global_batch(begun), ranks.count)
    changed = {"per_device_train_batch_size": micro, "gradient_accumulation_steps": steps}
    return recipe.changed(trainer={**recipe.trainer, **changed})


def _ranks_begun(resume: Resume, recipe: Recipe, now: int) -> int:
    """The number of ranks at the first start, for which the recipe's accumulation was written."""
    if resume.checkpoint is None:
        return now
    refused = recipe.run.resume_ranks == "same" and resume.origin.facts().get("ranks") != now  # when the run is opened
    return now if refused else resume.ranks_begun(now)


def same_global_batch(micro: int, global_batch: int, ranks: int) -> tuple[int, int]:
    """The largest micro batch of at most `micro`, and its accumulation, that make `global_batch` on `ranks`."""
    share, rest = divmod(global_batch, ranks)
    if rest:
        raise UserError(
            f"run.resume_ranks=any: a global batch of {global_batch} is not divisible by {ranks} ranks; "
            "start a number of ranks that divides it"
        )
    fitting = next(size for size in range(min(micro, share), 0, -1) if share % size == 0)
    return fitting, share // fitting


def fit_checkpoint(resume: Resume, folder: RunFolder, ranks: Ranks) -> Path | None:
    """The checkpoint itself if the same number of ranks wrote it, else a copy in the run folder that any number
    reads."""
    checkpoint = resume.checkpoint
    if checkpoint is None:
        return None
    return Path(on_first_rank(ranks, lambda: str(_fit(checkpoint, folder, ranks.count))))


def _fit(checkpoint: Path, folder: RunFolder, ranks: int) -> Path:
    states, random = (
        len(list(checkpoint.glob(pattern))) for pattern in ("global_step*/*_optim_states.pt", "rng_state*.pth")
    )
    if random == ranks:  # every rank writes one of each
        return checkpoint
    if not states:
        raise UserError(
            f"run.resume_ranks=any: {checkpoint} was written without ZeRO (zero.stage=0), so its "
            f"optimizer can only be read by {random} rank(s); start such runs with zero.stage=1 or higher"
        )
    return universal(checkpoint, folder.universal / checkpoint.name)


def universal(checkpoint: Path, to: Path) -> Path:
    """Writes `to`: a Trainer's checkpoint whose optimizer states are unsharded, by parameter."""
    from deepspeed.checkpoint import ds_to_universal

    shutil.rmtree(to.parent, ignore_errors=True)
    (states,) = checkpoint.glob("global_step*")
    # everything but the sharded states, which the converter rewrites by parameter
    shutil.copytree(checkpoint, to, ignore=shutil.ignore_patterns(states.name, "latest"))
    arguments = SimpleNamespace(
        input_folder=str(states),
        output_folder=str(to / states.name),
        num_extract_workers=1,
        num_merge_workers=1,
        keep_temp_folder=False,
        strict=True,
        inject_missing_state=True,
    )
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        ds_to_universal.main(arguments)
    (to / LATEST).write_text(states.name)
    if (to / "rng_state_0.pth").is_file() and not (to / "rng_state.pth").exists():
        shutil.copy(to / "rng_state_0.pth", to / "rng_state.pth")  # the name that a single rank looks for
    return to
