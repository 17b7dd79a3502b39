"""What a run needs beside weights, read and checked before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from data_prep.models import context_tokens, load_config, load_tokenizer
from data_prep.prepared.manifest import describe
from data_prep.prepared.prepare import Prepared, open_prepared, prepare
from eval.engines.held_models import check_held
from eval.numbers.foresight import Foresight, foresee
from eval.show.answers import room_to_reason
from eval.show.tables import budget_name
from eval.sweep import SweepSpec, check_context, make_sweep_spec
from prune.methods.table import method_of
from recipes.errors import UserError
from recipes.schema import Recipe
from runtime.ranks import Ranks, on_every_rank, on_first_rank
from train.arguments import Arithmetic, arithmetic
from train.feed import Feed, feed_of
from train.model import check_local
from train.offload import check_zero
from train.processes import device, uses_deepspeed
from train.quantised import check_quantised
from train.run import say
from train.zero import config_of

MOST_OF_A_SHARED_GPU = 0.5


@dataclass(frozen=True)
class Inputs:
    """What a run needs beside weights: what is swept, the tokenised traces and the batch arithmetic."""

    spec: SweepSpec
    prepared: Prepared
    feed: Feed
    arithmetic: Arithmetic
    foresight: Foresight | None

    def describe(self) -> str:
        """The lines shown before anything is loaded."""
        suites = ", ".join(f"{suite.name} {len(suite.problems)}" for suite in self.spec.suites)
        room = room_to_reason(self.spec.protocol.budgets, self.spec.protocol.answer_tokens)
        return (
            f"data   {describe(self.prepared.manifest).replace(chr(10), chr(10) + '       ')}\n"
            f"batch  {str(self.arithmetic).replace(chr(10), chr(10) + '       ')}\n"
            f"format {self.spec.protocol.format}\n"
            f"sweep  budgets {', '.join(map(budget_name, self.spec.protocol.budgets))} tokens; problems: {suites}"
            + (f"\n       {self.foresight}" if self.foresight else "")
            + (f"\n       {room}" if room else "")
        )


def read_inputs(recipe: Recipe, ranks: Ranks) -> Inputs:
    """Reads and checks everything that needs no weights; UserError names the key or the row that is wrong."""
    spec = on_every_rank(ranks, lambda: _read_spec(recipe))
    kind, count = device().type, ranks.count
    on_every_rank(ranks, lambda: check_zero(recipe.zero, recipe.model, recipe.prune, recipe.adapter, kind, count))
    # a DeepSpeed JSON of the user's own must fit the recipe
    on_every_rank(ranks, lambda: config_of(recipe.zero, recipe.model, recipe.trainer, kind, count))
    folder = on_first_rank(
        ranks,
        lambda: str(
            prepare(
                recipe.data, spec.tokenizer, spec.protocol.format, lambda text: say(ranks, text), spec.suites
            ).folder
        ),
    )
    prepared = open_prepared(Path(folder))
    feed = feed_of(recipe.data, prepared)
    counts = (len(prepared.rows), feed.sequences, prepared.tokens)
    batches = arithmetic(recipe.trainer, *counts, ranks.count)
    problems = {suite.name: len(suite.problems) for suite in spec.suites}
    return Inputs(spec, prepared, feed, batches, foresee(recipe.sweep, problems, batches.steps))


def _read_spec(recipe: Recipe) -> SweepSpec:
    """What is swept, with everything checked that needs neither weights nor traces."""
    _check_sections(recipe)
    check_quantised(recipe)
    tokenizer = load_tokenizer(recipe.model.unpruned, recipe.model)
    if recipe.model.pruned is not None:
        check_local(recipe.model.pruned)
    spec = make_sweep_spec(recipe.sweep, recipe.data.format, tokenizer)
    context, longest = context_tokens(recipe.model.unpruned, recipe.model), recipe.data.max_length_tokens
    if longest > context:
        raise UserError(
            f"data.max_length_tokens={longest}: the model's context has {context} tokens; write at most {context}"
        )
    check_context(spec, context, "sweep.budgets")
    check_held(recipe.sweep.engine, recipe.model.unpruned, load_config(recipe.model.unpruned, recipe.model))
    if recipe.prune is not None:
        layers = int(load_config(recipe.model.unpruned, recipe.model).num_hidden_layers)
        method_of(recipe.prune).check(layers)
    return spec


def _check_sections(recipe: Recipe) -> None:
    """UserError where sections that are sound by themselves do not go together, or not with this machine."""
    if recipe.model.attention == "flash_attention_2" and not torch.cuda.is_available():
        raise UserError("model.attention=flash_attention_2 needs a GPU, and there is none here; use auto or sdpa")
    engine = recipe.sweep.engine
    if not engine.takes_checkpoints:
        raise UserError(
            f"sweep.engine.name={engine.name}: an endpoint does not serve the weights that a run trains; use hf or "
            f"vllm here, and {engine.name} with python -m eval"
        )
    share = engine.gpu_memory_share or 0.0
    if share > MOST_OF_A_SHARED_GPU and recipe.sweep.devices is None and torch.cuda.is_available():
        raise UserError(
            f"sweep.engine.gpu_memory_share={share:g}: {engine.name} would want that much of a GPU that trains; "
            f"give it GPUs of its own with sweep.devices, or a share of at most {MOST_OF_A_SHARED_GPU:g}"
        )
    if recipe.model.dtype == "bfloat16" and not uses_deepspeed(recipe.zero):
        raise UserError(
            "zero.stage=0 with model.dtype=bfloat16: without DeepSpeed there are no float32 master "
            "weights, and small updates would be rounded away; use zero.stage=1 or model.dtype=float32"
        )
    if recipe.trainer.get("save_strategy") == "no" and recipe.export.enabled:
        raise UserError(
            "trainer.save_strategy=no: the export is made from the last checkpoint, and there would be "
            "none; use steps or epoch, or export.enabled=false"
        )
