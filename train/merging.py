"""Turns a checkpoint of a run into plain weights on disk; each step is compared with the previous (`train.gate`)."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import PeftModel
from safetensors import safe_open
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from data_prep.models import DTYPES, load_model, load_tokenizer
from data_prep.tokens.prompts import encode
from recipes.errors import UserError
from recipes.schema import ExportSection, ModelSection, Recipe
from runtime.progress import progress
from runtime.run_folder import RunFolder
from train.gate import (
    cast,
    check_cast,
    check_close,
    check_finite,
    check_same_weights,
    closeness,
    digests,
    logits_on,
    read_back,
    witness,
)
from train.probes import Probes, read_probes
from train.quantised import as_trained

SHARD = "5GB"


@dataclass(frozen=True)
class Parity:
    """How the export differs from the trained model, on prompts with their greedy continuation and on random tokens.

    merged_difference: largest logit difference between the float32 merge and the trained model, in standard deviations
    of the logits; read_difference: between the model read back and the merged weights after the cast; cast_difference,
    kl (nats per token), agreement (share of positions with the same most likely token): between the model read back and
    the trained model; prompts: their number; note: caveat for the figures of a checkpoint chosen as the best.
    """

    merged_difference: float
    read_difference: float
    cast_difference: float
    kl: float
    agreement: float
    tolerance: float
    prompts: int
    note: str = ""


@dataclass(frozen=True)
class Source:
    """The source of an export: a checkpoint of a run, its pruned weights, and the run's recipe."""

    run: RunFolder
    checkpoint: Path
    pruned: Path
    recipe: Recipe


def merge_and_check(source: Source, section: ExportSection, folder: Path) -> Parity:
    """Merges, casts and saves to `folder`, and compares the model that is read back from there.

    At most one float32 model is in memory: the trained one is merged in place, and freed before the export is read
    back.
    """
    dtype, tolerance = DTYPES[section.dtype], section.tolerance
    tokenizer = run_tokenizer(source)
    with torch.inference_mode(), progress(f"export of {source.checkpoint.name}", 6, "stages") as work:
        work.reach("loading the trained model")
        trained = trained_model(source.checkpoint, source.pruned, source.recipe.model.changed(dtype="float32"))
        check_finite(trained, "the trained model")
        probes = read_probes(source.run, trained.config.vocab_size)
        work.reach("logits on prompts and their continuation")
        seen = witness(trained, probes)
        work.reach("merging")
        merged = trained.merge_and_unload(safe_merge=True) if isinstance(trained, PeftModel) else trained
        merging = closeness(seen.logits, logits_on(merged, seen))
        expected = digests(merged, dtype)
        cast(merged, dtype)
        if merged.generation_config is not None:
            merged.generation_config = taught_generation(merged.generation_config, tokenizer, source.recipe)
        merged.config.use_cache = True
        work.reach("writing")
        merged.save_pretrained(folder, max_shard_size=SHARD)
        tokenizer.save_pretrained(folder)
        check_close(merging.difference, tolerance, "after the merge from the trained model's", folder)
        cast(merged, torch.float32)
        rounded = logits_on(merged, seen)
        del trained, merged
        work.reach("reading back")
        loaded = read_back(folder, section.dtype, source.recipe.model.trust_remote_code)
        check_finite(loaded, "the export")
        check_same_weights(expected, loaded, dtype, folder)
        work.reach("logits of the export")
        cast(loaded, torch.float32)
        logits = logits_on(loaded, seen)
    reading = closeness(rounded, logits)
    check_close(reading.difference, tolerance, "as read back from the merged weights'", folder)
    casting = closeness(seen.logits, logits)
    check_cast(casting, section.dtype, folder)
    _check_texts(folder, tokenizer, loaded)
    return Parity(
        merged_difference=merging.difference,
        read_difference=reading.difference,
        cast_difference=casting.difference,
        kl=casting.kl,
        agreement=casting.agreement,
        tolerance=tolerance,
        prompts=_prompts(probes),
    )


def _attention(section: ModelSection) -> str | None:
    """The attention of the run, if a CPU supports it; None for the model's own choice (Gemma 2 has no SDPA)."""
    return section.attention if section.attention in ("sdpa", "eager") else None


def run_tokenizer(source: Source) -> PreTrainedTokenizerBase:
    """The run's tokenizer: the one saved with the checkpoint, else that of the unpruned model."""
    saved = (source.checkpoint / "tokenizer_config.json").is_file()
    return load_tokenizer(str(source.checkpoint) if saved else source.recipe.model.unpruned, source.recipe.model)


def taught_generation(before: GenerationConfig, tokenizer: PreTrainedTokenizerBase, recipe: Recipe) -> GenerationConfig:
    """`before` for the recovered model: its stop tokens are the taught one, then those it had before."""
    generation = deepcopy(before)
    taught = encode(recipe.data.format.stop or tokenizer.eos_token, tokenizer)[-1]
    ended = before.eos_token_id
    stops = [taught, tokenizer.eos_token_id, *(ended if isinstance(ended, list) else [ended])]
    generation.eos_token_id = list(dict.fromkeys(stop for stop in stops if stop is not None))
    generation.pad_token_id = tokenizer.pad_token_id
    return generation


def _check_texts(folder: Path, tokenizer: PreTrainedTokenizerBase, loaded: PreTrainedModel) -> None:
    """UserError if tokenizer, chat template or stop tokens that were read back are not the run's."""
    if differing := text_differences(folder, tokenizer):
        raise UserError(
            f"export refused: the {differing[0]} in {folder} is not the run's; the rejected export is there"
        )
    if loaded.generation_config is not None:
        GenerationConfig.from_pretrained(folder)


def text_differences(folder: Path, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Names of the parts in which the tokenizer in `folder` differs from `tokenizer`."""
    stored = load_tokenizer(str(folder), ModelSection(unpruned=str(folder)))
    same = {
        "vocabulary": stored.get_vocab() == tokenizer.get_vocab(),
        "chat template": stored.chat_template == tokenizer.chat_template,
        "special tokens": stored.special_tokens_map == tokenizer.special_tokens_map,
    }
    return [name for name, is_same in same.items() if not is_same]


def _prompts(probes: Probes) -> int:
    return 0 if probes.prompts is None else len(probes.prompts)


def trained_model(checkpoint: Path, pruned: Path, exact: ModelSection) -> PreTrainedModel | PeftModel:
    """The model as trained, in float32 on the CPU: the checkpoint, or the pruned model with its adapter."""
    own = _attention(exact)
    if not (checkpoint / "adapter_config.json").is_file():
        return load_model(str(checkpoint), exact, attn_implementation=own).eval()
    check_adapter(checkpoint)
    base = as_trained(load_model(str(pruned), exact, attn_implementation=own), checkpoint)
    return PeftModel.from_pretrained(base, str(checkpoint), autocast_adapter_dtype=False).float().eval()


def check_adapter(checkpoint: Path) -> None:
    """UserError if the saved adapter is empty or has empty tensors (sharded saves have produced such files)."""
    with safe_open(checkpoint / "adapter_model.safetensors", "pt") as file:
        empty = [name for name in file.keys() if 0 in file.get_slice(name).get_shape()]  # noqa: SIM118 - not a dict
        if empty or not file.keys():
            raise UserError(
                f"{checkpoint}: the adapter was not saved completely ({len(empty)} empty tensors, first "
                f"{empty[:1]}); export from an earlier checkpoint"
            )
