"""`python -m train.export run=DIR out=DIR`: exports a complete checkpoint of a run as a plain checkpoint.

An adapter is merged in float32 and cast once. The model that is read back from the disk must equal the trained model
(`train.gate`) and have the run's tokenizer and stop tokens, or nothing is exported. The export is sealed: `python -m
train.export verify DIR` checks that its files are unchanged, and `push=USER/NAME` uploads it to the Hub (`train.push`).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from huggingface_hub import HfApi

from data_prep.models import DTYPES
from prune.inspect import check_folder
from prune.surgery import is_occupied
from recipes.command import run, split
from recipes.errors import UserError
from recipes.schema import ExportSection
from runtime.files import folder_fault, write_whole
from runtime.run_folder import RunFolder
from runtime.seal import COMPLETE, damage_of, files_of, read_seal, seal
from train.adapter_export import export_adapter
from train.card import model_card
from train.export_source import figures_of, source_of, tell_plan
from train.merging import Parity, merge_and_check
from train.push import check_login, check_name, push, upload_of

REPORT = "export_report.json"
MODEL_FILES = (".safetensors", ".json", ".jinja", ".txt", ".model")
"""suffixes of the files that make up the model; the card and its figure may be edited"""


def export_run(folder: RunFolder, out: Path, section: ExportSection) -> Parity:
    """Exports the newest or the best complete checkpoint of `folder` to `out`, which is replaced.

    UserError if there is none, if it is damaged, or if the logits differ; `out` is then left unchanged.
    """
    if fault := folder_fault(out):
        raise UserError(f"out={out} {fault}; remove it, or name another folder")
    source = source_of(folder, section)
    temporary = out.with_name(f".{out.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    parity = merge_and_check(source, section, temporary)
    note, confirmed = figures_of(source, section)
    parity = replace(parity, note=note)
    report = {"checkpoint": source.checkpoint.name, "dtype": section.dtype, **asdict(parity)}
    write_whole(temporary / REPORT, json.dumps(report, indent=2) + "\n")
    tell_plan(source.pruned, temporary)
    model_card(folder, source.checkpoint, parity.merged_difference, temporary, note, confirmed)
    check_folder(temporary)
    seal(temporary)
    shutil.rmtree(out, ignore_errors=True)
    temporary.rename(out)
    return parity


def verify(folder: Path) -> str:
    """Checks that the files of an export are those that passed the gate; returns a line that says so.

    UserError if there is no seal, or if a file of the model is missing, changed or was added later.
    """
    if not (folder / COMPLETE).is_file():
        raise UserError(f"{folder}: has no file {COMPLETE}, so it is not an export of this version; export it again")
    faults = damage_of(folder, MODEL_FILES)
    sealed = read_seal(folder) if not faults else None
    if sealed is not None:
        strangers = [name for name in files_of(folder) if name.endswith(MODEL_FILES) and name not in sealed]
        faults = [f"{name} was added later" for name in strangers]
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise UserError(f"{folder} is not what was exported: {faults[0]}{more}; export it again")
    files = [name for name in sealed or {} if name.endswith(MODEL_FILES)]
    return f"{folder}: all {len(files)} files of the model are as exported"


OPTIONS = {
    "run": "a run folder",
    "out": "folder for the exported model; without run=: an existing export",
    "checkpoint": "last, best or a step; default: the recipe's export.checkpoint",
    "dtype": "float32 or bfloat16; default: the recipe's export.dtype",
    "form": "model (default), or adapter: only the adapter, for the pruned model that it was trained on",
    "push": "USER/NAME on the Hugging Face Hub, to upload the export to (a new repository is private)",
    "dry_run": "true: show what push would upload, and upload nothing",
}


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["verify"] and len(arguments) == 2:
        print(verify(Path(arguments[1])))
        return
    options, rest = split(arguments, OPTIONS)
    if rest or "out" not in options or not {"run", "push"} & options.keys():
        wrong = f", not {' '.join(rest)}" if rest else ""
        raise UserError(
            "train.export: write run=DIR out=DIR [checkpoint=best] [dtype=bfloat16] [push=USER/NAME], "
            f"out=DIR push=USER/NAME for an existing export, or verify DIR{wrong}"
        )
    if options.get("dry_run", "false") not in ("true", "false"):
        raise UserError(f"dry_run={options['dry_run']}: must be true or false")
    is_dry, out = options.get("dry_run") == "true", Path(options["out"])
    if is_dry and "push" not in options:
        raise UserError("dry_run=true shows what push=USER/NAME would upload; name the repository")
    if "push" in options:
        check_name(options["push"])
        if not is_dry:
            check_login(HfApi())
    if "run" in options:
        _export(options, out)
    if "push" in options:
        print(verify(out))
        upload = upload_of(out, options["push"])
        print(f"{upload}\nnothing was uploaded" if is_dry else f"uploaded to {push(upload, HfApi())}")


def _export(options: Mapping[str, str], out: Path) -> None:
    folder = RunFolder(Path(options["run"]))
    if is_occupied(out):
        raise UserError(f"out={out} is not empty; name a new folder")
    if options.get("dtype", "float32") not in DTYPES:
        raise UserError(f"dtype={options['dtype']}: must be one of {', '.join(DTYPES)}")
    checkpoint = options.get("checkpoint", "last")
    if checkpoint not in ("last", "best") and not checkpoint.isdigit():
        raise UserError(f"checkpoint={checkpoint}: must be last, best or the step of a checkpoint")
    form = options.get("form", "model")
    if form not in ("model", "adapter"):
        raise UserError(f"form={form}: must be model or adapter")
    if form == "adapter" and "dtype" in options:
        raise UserError("dtype=...: an adapter keeps the dtype that it was trained in; leave it out, or use form=model")
    recipe = folder.facts().get("recipe", {})
    chosen = {key: options[key] for key in ("dtype", "checkpoint") if key in options}
    section = ExportSection.model_validate({**recipe.get("export", {}), **chosen})
    if form == "adapter":
        print(export_adapter(source_of(folder, section), out, section))
        return
    print("\n".join(described(export_run(folder, out, section), out, section.dtype)))


def described(parity: Parity, out: Path, dtype: str) -> list[str]:
    """The lines about an export for the user."""
    lines = [
        f"exported to {out}: logits within {parity.merged_difference:.1e} standard deviations after the merge; in "
        f"{dtype} {parity.kl:.1e} nats per token from the trained model, the same most likely token at "
        f"{parity.agreement:.1%} of the positions"
    ]
    return [*lines, parity.note] if parity.note else lines


if __name__ == "__main__":
    run(main)
