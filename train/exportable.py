"""Rehearses the export without weights before training, so that it is not refused hours later.

Config, generation config and tokenizer are saved and read back, the adapter is merged into a model on the meta device,
and the destination of the export is checked. Each fault gets one line.
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
    """UserError, with one line per fault, if the run's export would be refused; does nothing if there is no export.

    Writes only to a temporary folder."""
    if not recipe.export.enabled:
        return
    faults = [*place_faults(folder)]
    with TemporaryDirectory() as place:
        faults += generation_faults(recipe, tokenizer, Path(place))
        faults += tokenizer_faults(recipe, tokenizer, Path(place) / "tokenizer")
        if not recipe.model.trust_remote_code:  # custom code may need real weights
            built = skeleton(recipe.model, recipe.prune, recipe.adapter)
            faults += room_faults(built.sizes.total, recipe.export.dtype, folder.path)
            faults += config_faults(built.pruned.config, Path(place) / "config")
            faults += merge_faults(built)
    if faults:
        raise UserError("\n".join(f"export: {fault}" for fault in faults))


def place_faults(folder: RunFolder) -> Iterator[str]:
    """Why the export's folder cannot be created."""
    above = _nearest(folder.path)
    if fault := folder_fault(folder.export):
        yield f"{folder.export} {fault}, but the export goes there; remove it, or name another run.dir"
    elif not above.is_dir():
        yield f"run.dir={folder.path}: {above} is a file; name another folder"
    elif not os.access(above, os.W_OK | os.X_OK):
        yield f"run.dir={folder.path}: {above} cannot be written; name another folder"


def _nearest(path: Path) -> Path:
    """The path itself if it exists, else its nearest existing parent."""
    return next(each for each in (path, *path.absolute().parents) if each.exists())


def room_faults(parameters: int, dtype: str, folder: Path) -> Iterator[str]:
    """Too little disk space for the exported weights, or too little main memory for the merge."""
    needed, free = parameters * DTYPES[dtype].itemsize, shutil.disk_usage(_nearest(folder)).free
    if needed > free:
        yield (
            f"the weights in {dtype} take {_gigabytes(needed)} on the disk, but only {_gigabytes(free)} are free at "
            f"{_nearest(folder)}; free some space, name another run.dir, {OFF}"
        )
    merged, memory = parameters * EXACT_BYTES, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if merged > memory:
        yield (
            f"merging the model in float32 takes {_gigabytes(merged)} of main memory, but this machine has "
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
        before = savable(given) if recipe.model.pruned is None else given  # pruning makes its own savable
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
    """What the run's tokenizer loses when it is saved, and a chat template that fails to write a prompt."""
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
        yield f"{name}: its {' and its '.join(differing)} changed when saved and read back; repair its files"


def config_faults(config: Any, place: Path) -> Iterator[str]:
    """Why a config changes when it is saved and read back."""
    if said := _refusal(lambda: config.save_pretrained(place)):
        yield f"transformers refuses to save the config of the pruned model ({said}); correct its config.json"
        return
    said = _refusal(lambda: AutoConfig.from_pretrained(place))
    if said:
        yield f"transformers cannot read the config of the pruned model that it saved ({said}); correct config.json"


def merge_faults(built: Skeleton) -> Iterator[str]:
    """Why the adapter cannot be merged. The merge is tried on the model without weights, which it changes."""
    if not isinstance(built.trained, PeftModel):
        return
    if said := _refusal(built.trained.merge_and_unload):
        yield f"the adapter cannot be merged into this model ({said}); name other modules in adapter.targets"
        return


def _refusal(act: Callable[[], object]) -> str:
    """The error that a library raises, on one line; "" if it succeeds."""
    try:
        act()
    except Exception as fault:  # a library may raise anything for input that it cannot use
        return _line(fault)
    return ""


def _line(fault: Exception) -> str:
    return " ".join(str(fault).split())[:200] or type(fault).__name__
