"""`python -m train.export run=DIR out=DIR`: a run's newest (or best) complete checkpoint as a plain checkpoint.

An adapter is merged in float32 and cast once; the logits must equal the trained model's, or nothing is exported.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from peft import PeftModel
from safetensors import safe_open
from transformers import AutoModelForCausalLM, PreTrainedModel

from data_prep.fingerprint import fingerprint, local_folder
from data_prep.models import DTYPES, load_model, load_tokenizer
from eval.show.confirmed import note_on, selection_note
from prune.inspect import check_folder
from prune.surgery import is_occupied
from recipes.command import run, split
from recipes.errors import UserError
from recipes.schema import ExportSection, ModelSection, Recipe
from runtime.files import read_rows, write_whole
from runtime.run_folder import RunFolder, step_of
from train.card import model_card
from train.checkpoints import check_whole, kept_checkpoint
from train.confirm import confirmation_of
from train.quantised import as_trained

PROBES, PROBE_TOKENS = 8, 48


@dataclass(frozen=True)
class Parity:
    """How the export differs from the trained model on random token sequences.

    merged_difference: largest logit difference of the float32 merge; cast_difference: of the exported weights as they
    are read back; agreement: share of positions with the same likeliest token after the cast; note: what must be said
    of the figures of this checkpoint (`eval.show.confirmed.note_on`).
    """

    merged_difference: float
    cast_difference: float
    agreement: float
    tolerance: float
    note: str = ""


def export_run(folder: RunFolder, out: Path, section: ExportSection) -> Parity:
    """Exports the newest or the best complete checkpoint of `folder` to `out`, which is replaced.

    UserError where there is no checkpoint, where it is damaged, or where the logits differ; `out` then stays.
    """
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
    exact = recipe.model.changed(dtype="float32", attention="sdpa")
    temporary = out.with_name(f".{out.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    parity = _write(checkpoint, pruned, exact, section, temporary)
    step, confirmed = step_of(checkpoint), confirmation_of(folder, checkpoint, str(pruned), recipe)
    chosen = selection_note(read_rows(folder.sweeps), str(recipe.keep_best)) if section.checkpoint == "best" else ""
    parity = replace(parity, note=note_on(step, confirmed, chosen))
    report = {"checkpoint": checkpoint.name, "dtype": section.dtype, **asdict(parity)}
    write_whole(temporary / "export_report.json", json.dumps(report, indent=2) + "\n")
    _check_parity(parity, section, temporary)
    if (pruned / "prune_plan.json").is_file():
        shutil.copy(pruned / "prune_plan.json", temporary)
    rows = read_rows(folder.confirmed.sweeps) if confirmed and confirmed["step"] == step else []
    model_card(folder, checkpoint, parity.merged_difference, temporary, parity.note, rows)
    check_folder(temporary)
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


def _check_parity(parity: Parity, section: ExportSection, rejected: Path) -> None:
    """UserError where logits differ by more than the tolerance, after the merge or, in float32, as read back."""
    differences = {"after the merge": parity.merged_difference}
    if section.dtype == "float32":
        differences["as saved"] = parity.cast_difference
    for when, difference in differences.items():
        if not difference <= parity.tolerance:
            raise UserError(
                f"export refused: logits differ by {difference:.2e} {when} from the trained model's, "
                f"export.tolerance={parity.tolerance:g} is allowed; the rejected export lies in {rejected}"
            )


def _write(checkpoint: Path, pruned: Path, exact: ModelSection, section: ExportSection, folder: Path) -> Parity:
    """Merges, casts and saves to `folder`; the weights are compared as they are read back from there."""
    trained = trained_model(checkpoint, pruned, exact)
    random = torch.Generator().manual_seed(0)
    probes = torch.randint(trained.config.vocab_size, (PROBES, PROBE_TOKENS), generator=random)
    with torch.inference_mode():
        expected = trained(input_ids=probes).logits
        merged = trained.merge_and_unload(safe_merge=True) if isinstance(trained, PeftModel) else trained
        merged_difference = float((merged(input_ids=probes).logits - expected).abs().max())
        merged.to(DTYPES[section.dtype])  # type: ignore[arg-type]
        merged.config.use_cache = True
        merged.save_pretrained(folder)
        load_tokenizer(str(pruned), exact).save_pretrained(folder)
        exported = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa")
        logits = exported(input_ids=probes).logits
    agreement = (logits.argmax(-1) == expected.argmax(-1)).float().mean()
    return Parity(
        merged_difference=merged_difference,
        cast_difference=float((logits - expected).abs().max()),
        agreement=float(agreement),
        tolerance=section.tolerance,
    )


def trained_model(checkpoint: Path, pruned: Path, exact: ModelSection) -> PreTrainedModel | PeftModel:
    """The model as it was trained, in float32 on the CPU: the checkpoint, or the pruned model under its adapter."""
    if not (checkpoint / "adapter_config.json").is_file():
        return load_model(str(checkpoint), exact).eval()
    check_adapter(checkpoint)
    base = as_trained(load_model(str(pruned), exact), checkpoint)
    return PeftModel.from_pretrained(base, str(checkpoint), autocast_adapter_dtype=False).float().eval()


def check_adapter(checkpoint: Path) -> None:
    """UserError where the saved adapter is empty or holds empty tensors (as sharded saves have been known to)."""
    with safe_open(checkpoint / "adapter_model.safetensors", "pt") as file:
        empty = [name for name in file.keys() if 0 in file.get_slice(name).get_shape()]  # noqa: SIM118 - not a dict
        if empty or not file.keys():
            raise UserError(
                f"{checkpoint}: the adapter was not saved whole ({len(empty)} empty tensors, first "
                f"{empty[:1]}); export from an earlier checkpoint"
            )


def main(arguments: list[str]) -> None:
    options, rest = split(
        arguments,
        {
            "run": "a run folder",
            "out": "folder for the exported model",
            "checkpoint": "last or best; default: the recipe's export.checkpoint",
            "dtype": "float32 or bfloat16; default: the recipe's export.dtype",
        },
    )
    if rest or "run" not in options or "out" not in options:
        wrong = f", not {' '.join(rest)}" if rest else ""
        raise UserError(f"train.export: write run=DIR out=DIR [checkpoint=best] [dtype=bfloat16]{wrong}")
    folder, out = RunFolder(Path(options["run"])), Path(options["out"])
    if is_occupied(out):
        raise UserError(f"out={out} is not empty; name a new folder")
    if options.get("dtype", "float32") not in DTYPES:
        raise UserError(f"dtype={options['dtype']}: allowed are {', '.join(DTYPES)}")
    if options.get("checkpoint", "last") not in ("last", "best"):
        raise UserError(f"checkpoint={options['checkpoint']}: allowed are last, best")
    recipe = folder.facts().get("recipe", {})
    chosen = {key: options[key] for key in ("dtype", "checkpoint") if key in options}
    section = ExportSection.model_validate({**recipe.get("export", {}), **chosen})
    parity = export_run(folder, out, section)
    print(
        f"exported to {out}: largest logit difference {parity.merged_difference:.1e} after the merge, "
        f"{parity.cast_difference:.1e} as saved in {section.dtype}; "
        f"same likeliest token at {parity.agreement:.1%} of the positions" + (f"\n{parity.note}" if parity.note else "")
    )


if __name__ == "__main__":
    run(main)
