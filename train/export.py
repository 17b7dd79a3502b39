"""`python -m train.export run=DIR out=DIR`: a run's newest complete checkpoint as a plain checkpoint.

An adapter is merged in float32 and cast once; the logits must equal the trained model's, or nothing is exported.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from peft import PeftModel
from safetensors import safe_open
from transformers import AutoModelForCausalLM, PreTrainedModel

from data_prep.models import DTYPES, load_model, load_tokenizer
from prune.fingerprint import fingerprint
from prune.inspect import check_folder
from recipes.command import run, split
from recipes.errors import UserError
from recipes.schema import ExportSection, ModelSection, Recipe
from train.card import model_card
from train.run_record import RunFolder, write_whole

PROBES, PROBE_TOKENS = 8, 48


@dataclass(frozen=True)
class Parity:
    """How the export differs from the trained model on random token sequences.

    merged_difference: largest logit difference of the float32 merge; cast_difference: of the weights as they are exported;
    agreement: share of positions with the same likeliest token after the cast.
    """

    merged_difference: float
    cast_difference: float
    agreement: float
    tolerance: float


def export_run(folder: RunFolder, out: Path, section: ExportSection) -> Parity:
    """Exports the newest complete checkpoint of `folder` to `out`; UserError where there is none or where the logits differ."""
    facts = folder.facts()
    if not facts or not folder.complete_checkpoints():
        raise UserError(f"run={folder.path}: no complete checkpoint there; name the folder of a run that has saved one")
    checkpoint = folder.complete_checkpoints()[-1]
    recipe = Recipe.model_validate(facts["recipe"])
    pruned = folder.path / "pruned" if recipe.prune is not None else Path(str(recipe.model.pruned))
    if fingerprint(str(pruned)) != facts["pruned_fingerprint"]:
        raise UserError(f"{pruned} is no longer the pruned model that this run was trained on (its fingerprint differs); "
                        "put the right weights back, an adapter fits no others")
    exact = recipe.model.model_copy(update={"dtype": "float32", "attention": "sdpa"})
    temporary = out.with_name(f".{out.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    parity = _write(checkpoint, pruned, exact, section, temporary)
    write_whole(temporary / "export_report.json", json.dumps({"checkpoint": checkpoint.name, **asdict(parity)}, indent=2) + "\n")
    if parity.merged_difference > parity.tolerance:
        raise UserError(f"export refused: logits differ by {parity.merged_difference:.2e} from the trained model's, "
                        f"export.tolerance={parity.tolerance:.0e} is allowed; the rejected export lies in {temporary}")
    if (pruned / "prune_plan.json").is_file():
        shutil.copy(pruned / "prune_plan.json", temporary)
    model_card(folder, checkpoint, parity.merged_difference, temporary)
    check_folder(temporary)
    shutil.rmtree(out, ignore_errors=True)
    temporary.rename(out)
    return parity


def _write(checkpoint: Path, pruned: Path, exact: ModelSection, section: ExportSection, folder: Path) -> Parity:
    """Merges, casts and saves to `folder`; the weights are compared as they are read back from there."""
    trained = trained_model(checkpoint, pruned, exact)
    probes = torch.randint(trained.config.vocab_size, (PROBES, PROBE_TOKENS), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        wanted = trained(input_ids=probes).logits
        merged = trained.merge_and_unload(safe_merge=True) if isinstance(trained, PeftModel) else trained
        merged_difference = float((merged(input_ids=probes).logits - wanted).abs().max())
        merged.to(DTYPES[section.dtype])
        merged.config.use_cache = True
        merged.save_pretrained(folder)
        load_tokenizer(str(pruned), exact).save_pretrained(folder)
        exported = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa")
        logits = exported(input_ids=probes).logits
    agreement = (logits.argmax(-1) == wanted.argmax(-1)).float().mean()
    return Parity(merged_difference=merged_difference, cast_difference=float((logits - wanted).abs().max()),
                  agreement=float(agreement), tolerance=section.tolerance)


def trained_model(checkpoint: Path, pruned: Path, exact: ModelSection) -> PreTrainedModel | PeftModel:
    """The model as it was trained, in float32 on the CPU: the checkpoint itself, or the pruned model under its adapter."""
    if not (checkpoint / "adapter_config.json").is_file():
        return load_model(str(checkpoint), exact).eval()
    check_adapter(checkpoint)
    return PeftModel.from_pretrained(load_model(str(pruned), exact), str(checkpoint), autocast_adapter_dtype=False).float().eval()


def check_adapter(checkpoint: Path) -> None:
    """UserError where the saved adapter is empty or holds empty tensors (as sharded saves have been known to)."""
    with safe_open(checkpoint / "adapter_model.safetensors", "pt") as file:
        empty = [name for name in file.keys() if 0 in file.get_slice(name).get_shape()]  # noqa: SIM118 - not a dict
        if empty or not file.keys():
            raise UserError(f"{checkpoint}: the adapter was not saved whole ({len(empty)} empty tensors, first {empty[:1]}); "
                            "export from an earlier checkpoint")


def main(arguments: list[str]) -> None:
    own, rest = split(arguments, {"run": "a run folder", "out": "folder for the exported model",
                                  "dtype": "float32 or bfloat16; default: the recipe's export.dtype"})
    if rest or "run" not in own or "out" not in own:
        raise UserError(f"train.export: write run=DIR out=DIR [dtype=bfloat16]{', not ' + ' '.join(rest) if rest else ''}")
    folder, out = RunFolder(Path(own["run"])), Path(own["out"])
    if out.is_dir() and any(out.iterdir()):
        raise UserError(f"out={out} is not empty; name a new folder")
    if own.get("dtype", "float32") not in DTYPES:
        raise UserError(f"dtype={own['dtype']}: allowed are {', '.join(DTYPES)}")
    recipe = folder.facts().get("recipe")
    section = ExportSection.model_validate({**(recipe or {}).get("export", {}), **({"dtype": own["dtype"]} if "dtype" in own else {})})
    parity = export_run(folder, out, section)
    print(f"exported to {out}: largest logit difference {parity.merged_difference:.1e} after the merge, {parity.cast_difference:.1e} as "
          f"saved in {section.dtype}; same likeliest token at {parity.agreement:.1%} of the positions")


if __name__ == "__main__":
    run(main)
