"""`python -m train.export run=DIR out=DIR`: a complete checkpoint of a run as a plain checkpoint.

An adapter is merged in float32 and cast once. What is read back from the disk must be the trained model (`train.gate`),
with the run's tokenizer and its stop tokens, or nothing is exported. The export is sealed: `python -m train.export
verify DIR` says whether its files are still those that passed.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

from data_prep.fingerprint import fingerprint, local_folder
from data_prep.models import DTYPES
from eval.show.confirmed import note_on, selection_note
from prune.inspect import check_folder
from prune.surgery import is_occupied
from recipes.command import run, split
from recipes.errors import UserError
from recipes.schema import ExportSection, ModelSection, Recipe
from runtime.files import folder_fault, read_rows, write_whole
from runtime.run_folder import RunFolder, step_of
from runtime.seal import COMPLETE, damage_of, files_of, read_seal, seal
from train.card import model_card
from train.checkpoints import check_whole, kept_checkpoint
from train.confirm import confirmation_of
from train.merging import Parity, Source, merge_and_check

REPORT = "export_report.json"
MODEL_FILES = (".safetensors", ".json", ".jinja", ".txt", ".model")
"""endings of what makes the model; the card and its figure may be edited"""


def export_run(folder: RunFolder, out: Path, section: ExportSection) -> Parity:
    """Exports the newest or the best complete checkpoint of `folder` to `out`, which is replaced.

    UserError where there is no checkpoint, where it is damaged, or where the logits differ; `out` then stays.
    """
    if fault := folder_fault(out):
        raise UserError(f"out={out} {fault}; remove it, or name another folder")
    facts = folder.facts()
    if not facts or not folder.complete_checkpoints():
        raise UserError(f"run={folder.path}: no complete checkpoint there; name the folder of a run that has saved one")
    recipe = Recipe.model_validate(facts["recipe"])
    checkpoint = kept_checkpoint(folder, section, recipe.keep_best)
    check_whole(checkpoint)
    pruned = _pruned_folder(folder, recipe.model)
    if fingerprint(str(pruned)) != facts["pruned_fingerprint"]:
        raise UserError(
            f"{pruned} is no longer the pruned model that this run was trained on (its fingerprint "
            "differs); put the right weights back, an adapter fits no others"
        )
    temporary = out.with_name(f".{out.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    parity = merge_and_check(Source(folder, checkpoint, pruned, recipe), section, temporary)
    step, confirmed = step_of(checkpoint), confirmation_of(folder, checkpoint, str(pruned), recipe)
    chosen = selection_note(read_rows(folder.sweeps), str(recipe.keep_best)) if section.checkpoint == "best" else ""
    parity = replace(parity, note=note_on(step, confirmed, chosen))
    report = {"checkpoint": checkpoint.name, "dtype": section.dtype, **asdict(parity)}
    write_whole(temporary / REPORT, json.dumps(report, indent=2) + "\n")
    if (pruned / "prune_plan.json").is_file():
        shutil.copy(pruned / "prune_plan.json", temporary)
    rows = read_rows(folder.confirmed.sweeps) if confirmed and confirmed["step"] == step else []
    model_card(folder, checkpoint, parity.merged_difference, temporary, parity.note, rows)
    check_folder(temporary)
    seal(temporary)
    shutil.rmtree(out, ignore_errors=True)
    temporary.rename(out)
    return parity


def _pruned_folder(folder: RunFolder, model: ModelSection) -> Path:
    """Where the weights lie on which the run was trained: in the run folder, or where the recipe names them."""
    if model.pruned is None:
        return folder.pruned
    folder_of_weights = local_folder(model.pruned)
    if folder_of_weights is None:
        raise UserError(f"model.pruned={model.pruned}: not on this machine, and the export needs it; bring it back")
    return folder_of_weights


def verify(folder: Path) -> str:
    """A line that says that the files of an export are those that passed the gate.

    UserError where there is no seal, or where a file of the model is missing, changed or was put there later.
    """
    if not (folder / COMPLETE).is_file():
        raise UserError(f"{folder}: no file {COMPLETE} there, so it is no export of this version; export it again")
    faults = damage_of(folder, MODEL_FILES)
    sealed = read_seal(folder) if not faults else None
    if sealed is not None:
        strangers = [name for name in files_of(folder) if name.endswith(MODEL_FILES) and name not in sealed]
        faults = [f"{name} was put there later" for name in strangers]
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise UserError(f"{folder} is not what was exported: {faults[0]}{more}; export it again")
    files = [name for name in sealed or {} if name.endswith(MODEL_FILES)]
    return f"{folder}: all {len(files)} files of the model are as exported"


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["verify"] and len(arguments) == 2:
        print(verify(Path(arguments[1])))
        return
    options, rest = split(
        arguments,
        {
            "run": "a run folder",
            "out": "folder for the exported model",
            "checkpoint": "last, best or a step; default: the recipe's export.checkpoint",
            "dtype": "float32 or bfloat16; default: the recipe's export.dtype",
        },
    )
    if rest or "run" not in options or "out" not in options:
        wrong = f", not {' '.join(rest)}" if rest else ""
        raise UserError(f"train.export: write run=DIR out=DIR [checkpoint=best] [dtype=bfloat16], or verify DIR{wrong}")
    folder, out = RunFolder(Path(options["run"])), Path(options["out"])
    if is_occupied(out):
        raise UserError(f"out={out} is not empty; name a new folder")
    if options.get("dtype", "float32") not in DTYPES:
        raise UserError(f"dtype={options['dtype']}: allowed are {', '.join(DTYPES)}")
    checkpoint = options.get("checkpoint", "last")
    if checkpoint not in ("last", "best") and not checkpoint.isdigit():
        raise UserError(f"checkpoint={checkpoint}: allowed are last, best and the step of a checkpoint")
    recipe = folder.facts().get("recipe", {})
    chosen = {key: options[key] for key in ("dtype", "checkpoint") if key in options}
    section = ExportSection.model_validate({**recipe.get("export", {}), **chosen})
    print("\n".join(described(export_run(folder, out, section), out, section.dtype)))


def described(parity: Parity, out: Path, dtype: str) -> list[str]:
    """What a user is told of an export."""
    lines = [
        f"exported to {out}: logits within {parity.merged_difference:.1e} standard deviations after the merge; in "
        f"{dtype} {parity.kl:.1e} nats a token from the trained model, the same likeliest token at "
        f"{parity.agreement:.1%} of the positions"
    ]
    return [*lines, parity.note] if parity.note else lines


if __name__ == "__main__":
    run(main)
