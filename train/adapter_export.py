"""Exports only the adapter of a run, with the fingerprint of the model it belongs to; other models refuse it.

The file is a byte-for-byte copy from the checkpoint. Nothing is merged or cast, so no gate is needed.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from data_prep.fingerprint import fingerprint
from eval.adapters import BASE, CONFIG, WEIGHTS, check_fits
from recipes.errors import UserError
from recipes.schema import ExportSection
from runtime.files import new_folder, write_whole
from runtime.seal import seal
from train.card import model_card
from train.export_source import figures_of, tell_plan
from train.merging import Source, check_adapter, run_tokenizer
from train.published import hub_id


def export_adapter(source: Source, out: Path, section: ExportSection) -> str:
    """Writes adapter, tokenizer, plan and card to `out`, seals them and returns a line for the user.

    UserError if the run trained every parameter, or over 4-bit weights: the adapter fits only those.
    """
    method = source.recipe.adapter.method
    if method == "none":
        raise UserError("form=adapter: this run trained every parameter and has no adapter; leave form out")
    if method == "qlora":
        raise UserError(
            "form=adapter: this adapter was trained over 4-bit weights, and over the plain weights it would be another "
            "model; leave form out: the merged export has the weights as they were in training"
        )
    check_adapter(source.checkpoint)
    check_fits(source.checkpoint, str(source.pruned))
    base = fingerprint(str(source.pruned))
    with new_folder(out) as temporary:
        shutil.copy(source.checkpoint / WEIGHTS, temporary)
        told = json.loads((source.checkpoint / CONFIG).read_text(encoding="utf-8"))
        told["base_model_name_or_path"] = hub_id(source.recipe.model.pruned)  # a path of this machine helps nobody else
        write_whole(temporary / CONFIG, json.dumps(told, indent=2) + "\n")
        write_whole(temporary / BASE, json.dumps({"fingerprint": base}, indent=2) + "\n")
        run_tokenizer(source).save_pretrained(temporary)
        tell_plan(source.pruned, temporary)
        note, confirmed = figures_of(source, section)
        model_card(source.run, source.checkpoint, None, temporary, note, confirmed)
        seal(temporary)
    return f"exported the adapter of {source.checkpoint.name} to {out}, for {source.pruned} ({base}) and no other"
