"""What would be refused at the export, hours later, is refused before training: a rehearsal without weights.

Config, generation config and tokenizer are saved and read back, the adapter is merged into a model on the meta device,
and the place where the export will lie is looked at. Every fault has a line of its own.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from peft import PeftModel
from transformers import AutoConfig, GenerationConfig, PreTrainedTokenizerBase

from data_prep.contradictions import BUILD_ERRORS
from data_prep.fingerprint import local_folder
from data_prep.models import DTYPES
from data_prep.tokens.templates import render_template, template_date
from prune.generation_config import savable
from recipes.errors import UserError
from recipes.schema import Recipe
from runtime.files import folder_fault
from runtime.run_folder import RunFolder
from train.merging import taught_generation, text_differences
from train.sizes import Skeleton, skeleton

OFF = "or train without an export (export.enabled=false)"
EXACT_BYTES = 4
"""bytes of a float32 parameter: an adapter is merged in float32"""


def check_exportable(recipe: Recipe, folder: RunFolder, tokenizer: PreTrainedTokenizerBase) -> None:
    """UserError, one line for each fault, where the run's export would be refused; without an export, nothing is.

    Nothing is written but to a temporary folder."""
    if not recipe.export.enabled:
        return
    faults = [*place_faults(folder)]
    with TemporaryDirectory() as place:
        faults += generation_faults(recipe, tokenizer, Path(place))
        faults += tokenizer_faults(recipe, tokenizer, Path(place) / "tokenizer")
        if not recipe.model.trust_remote_code:  # foreign code may need real weights
            built = skeleton(recipe.model, recipe.prune, recipe.adapter)
            faults += room_faults(built.sizes.total, recipe.export.dtype, folder.path)
            faults += config_faults(built.pruned.config, Path(place) / "config")
            faults += merge_faults(built)
    if faults:
        raise UserError("\n".join(f"export: {fault}" for fault in faults))


def place_faults(folder: RunFolder) -> Iterator[str]:
    """Why no folder can be put where the export belongs."""
    above = _nearest(folder.path)
    if fault := folder_fault(folder.export):
        yield f"{folder.export} {fault}, and the export belongs there; remove it, or name another run.dir"
    elif not above.is_dir():
        yield f"run.dir={folder.path}: {above} is a file; name another folder"
    elif not os.access(above, os.W_OK | os.X_OK):
        yield f"run.dir={folder.path}: {above} cannot be written; name another folder"


def _nearest(path: Path) -> Path:
    """What is there of a path: itself, or the nearest of those above it."""
    return next(each for each in (path, *path.absolute().parents) if each.exists())


def room_faults(parameters: int, dtype: str, folder: Path) -> Iterator[str]:
    """Too little room for the exported weights on the disk, or for the merge in main memory."""
    needed, free = parameters * DTYPES[dtype].itemsize, shutil.disk_usage(_nearest(folder)).free
    if needed > free:
        yield (
            f"the weights in {dtype} take {_gigabytes(needed)} on the disk, and {_gigabytes(free)} are free at "
            f"{_nearest(folder)}; make room, name another run.dir, {OFF}"
        )
    merged, memory = parameters * EXACT_BYTES, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if merged > memory:
        yield (
            f"the model is merged in float32, {_gigabytes(merged)} of main memory, and this machine has "
            f"{_gigabytes(memory)}; export on a larger one with python -m train.export, {OFF}"
        )


def _gigabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:,.1f} GB"


def generation_faults(recipe: Recipe, tokenizer: PreTrainedTokenizerBase, place: Path) -> Iterator[str]:
    """Why the generation config of the pruned model, with the stop tokens that are taught, cannot be saved."""
    source = local_folder(recipe.model.pruned or recipe.model.unpruned)
    if source is None or not (source / "generation_config.json").is_file():
        return
    try:
        given = GenerationConfig.from_pretrained(source)
        before = savable(given) if recipe.model.pruned is None else given  # a cut makes its own savable
    except UserError as fault:
        yield str(fault)
        return
    except BUILD_ERRORS as fault:
        yield f"{source / 'generation_config.json'}: transformers cannot read it ({_line(fault)}); correct or remove it"
        return
    generation = taught_generation(before, tokenizer, recipe)
    if said := _refusal(lambda: generation.save_pretrained(place)):
        yield (
            f"{source / 'generation_config.json'}: transformers refuses to save it with other stop tokens ({said}); "
            f"`python -m prune.inspect {source} fix=OUT` writes a copy that it saves"
        )


def tokenizer_faults(recipe: Recipe, tokenizer: PreTrainedTokenizerBase, place: Path) -> Iterator[str]:
    """What of the run's tokenizer is lost when it is saved, and a chat template that writes no prompt."""
    name = f"the tokenizer of {recipe.model.unpruned}"
    if said := _refusal(lambda: tokenizer.save_pretrained(place)):
        yield f"{name} cannot be saved ({said}); repair its files"
        return
    try:
        differing = text_differences(place, tokenizer)
        render_template("?", tokenizer, "on", template_date(recipe.data.format.date, tokenizer))
    except UserError as fault:
        yield f"{name}: {fault}"
        return
    if differing:
        yield f"{name}: its {' and its '.join(differing)} is another one when saved and read back; repair its files"


def config_faults(config: Any, place: Path) -> Iterator[str]:
    """Why a config is another one when it is saved and read back."""
    if said := _refusal(lambda: config.save_pretrained(place)):
        yield f"transformers refuses to save the config of the pruned model ({said}); correct its config.json"
        return
    said = _refusal(lambda: AutoConfig.from_pretrained(place))
    if said:
        yield f"transformers does not read the config of the pruned model that it saved ({said}); correct config.json"


def merge_faults(built: Skeleton) -> Iterator[str]:
    """Why the adapter cannot be merged, tried on the model without weights, which becomes the merged one."""
    if not isinstance(built.trained, PeftModel):
        return
    if said := _refusal(built.trained.merge_and_unload):
        yield f"the adapter cannot be merged into this model ({said}); name other modules in adapter.targets"
        return


def _refusal(act: Callable[[], object]) -> str:
    """What a library raises, in a line; "" where it does as it is told."""
    try:
        act()
    except Exception as fault:  # anything may come out of a library that was given what it cannot use
        return _line(fault)
    return ""


def _line(fault: Exception) -> str:
    return " ".join(str(fault).split())[:200] or type(fault).__name__
