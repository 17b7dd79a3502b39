"""The inputs of a run other than weights, read and checked before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from data_prep.fingerprint import local_folder
from data_prep.models import context_tokens, load_config, load_tokenizer
from data_prep.prepared.manifest import describe
from data_prep.prepared.prepare import Prepared, open_prepared, prepare, quiet
from data_prep.problem import Suite
from data_prep.soundness import check_model
from eval.engines.choose import version_of
from eval.engines.held_models import check_held
from eval.numbers.foresight import Foresight, foresee, foresee_confirmed
from eval.show.answers import room_to_reason
from eval.show.tables import budget_name
from eval.sweep import SweepSpec, check_context, make_confirm_spec, make_sweep_spec
from prune.against import differences
from prune.calibration import calibration_set
from prune.make import check_request
from recipes.data import DataSection
from recipes.errors import UserError
from recipes.schema import Recipe
from runtime.ranks import Ranks, on_every_rank, on_first_rank
from train.arguments import Arithmetic, arithmetic
from train.determinism import check_deterministic
from train.feed import Feed, feed_of
from train.fused_kernels import ground, kernels_of
from train.model import check_local, check_padding
from train.objective import check_loss, check_stored
from train.offload import check_zero
from train.packages import check_packages
from train.packed_attention import check_kinds
from train.processes import device, uses_deepspeed
from train.quantised import check_quantised
from train.rounds import Thinking, make_thinking
from train.run import say
from train.settings import check_settings
from train.sizes import skeleton
from train.zero import config_of

MOST_OF_A_SHARED_GPU = 0.5


@dataclass(frozen=True)
class Inputs:
    """The inputs of a run other than weights: sweep, confirmation, tokenised traces and batch arithmetic."""

    spec: SweepSpec
    confirm: SweepSpec | None
    prepared: Prepared
    feed: Feed
    arithmetic: Arithmetic
    foresight: Foresight | None
    confirm_foresight: Foresight | None
    thinking: Thinking | None = None

    def calibration(self, data: DataSection) -> Prepared:
        """The traces for a pruning method's measurements: those of the run, unless `data.select` chose them by
        scores."""
        if data.select is None:
            return self.prepared
        suites = measured_suites(self.spec, self.confirm)
        return calibration_set(data, self.spec.tokenizer, self.spec.protocol.format, quiet, suites)

    def describe(self) -> str:
        """The lines shown before anything is loaded."""
        suites = ", ".join(f"{suite.name} {len(suite.problems)}" for suite in self.spec.suites)
        room = room_to_reason(self.spec.protocol.budgets, self.spec.protocol.answer_tokens)
        return (
            f"data   {describe(self.prepared.manifest).replace(chr(10), chr(10) + '       ')}\n"
            f"batch  {str(self.arithmetic).replace(chr(10), chr(10) + '       ')}\n"
            + (f"       {self.thinking.describe()}\n" if self.thinking else "")
            + f"format {self.spec.protocol.format}\n"
            f"sweep  budgets {', '.join(map(budget_name, self.spec.protocol.budgets))} tokens; problems: {suites}"
            + (f"\n       {self.foresight}" if self.foresight else "")
            + (f"\n       {room}" if room else "")
            + (f"\n{self._describe_confirm(self.confirm)}" if self.confirm else "")
        )

    def _describe_confirm(self, confirm: SweepSpec) -> str:
        (suite,) = confirm.suites
        return (
            f"confirm {suite.name}, {len(suite.problems)} problems that no sweep sees: the kept checkpoint and both "
            "references, once" + (f"\n       {self.confirm_foresight}" if self.confirm_foresight else "")
        )


def measured_suites(spec: SweepSpec, confirm: SweepSpec | None) -> tuple[Suite, ...]:
    """All suites that a run measures on; no trace may contain their problems."""
    return (*spec.suites, *(confirm.suites if confirm else ()))


def read_inputs(recipe: Recipe, ranks: Ranks) -> Inputs:
    """Reads and checks everything that needs no weights; UserError names the wrong key or row."""
    spec, confirm = on_every_rank(ranks, lambda: _read_specs(recipe))
    on_first_rank(ranks, lambda: _check_models(recipe, spec))
    measured = measured_suites(spec, confirm)
    thinking = on_every_rank(ranks, lambda: make_thinking(recipe, spec, measured))
    kind, count = device().type, ranks.count
    on_every_rank(ranks, lambda: check_zero(recipe.zero, recipe.model, recipe.prune, recipe.adapter, kind, count))
    # the user's own DeepSpeed JSON must agree with the recipe
    on_every_rank(ranks, lambda: config_of(recipe.zero, recipe.model, recipe.trainer, kind, count))
    folder = on_first_rank(
        ranks,
        lambda: str(
            prepare(recipe.data, spec.tokenizer, spec.protocol.format, lambda text: say(ranks, text), measured).folder
        ),
    )
    prepared = open_prepared(Path(folder))
    on_every_rank(ranks, lambda: check_stored(recipe, prepared))
    feed = feed_of(recipe.data, prepared)
    counts = (len(prepared.rows), feed.sequences, prepared.tokens)
    batches = arithmetic(recipe.trainer, *counts, ranks.count)
    problems = {suite.name: len(suite.problems) for suite in spec.suites}
    foresight, confirm_foresight = foresee(recipe.sweep, problems, batches.steps), foresee_confirmed(recipe.sweep)
    return Inputs(spec, confirm, prepared, feed, batches, foresight, confirm_foresight, thinking)


def _read_specs(recipe: Recipe) -> tuple[SweepSpec, SweepSpec | None]:
    """The sweep and the confirmation, after all checks that need neither weights nor traces."""
    _check_sections(recipe)
    check_packages(recipe)
    version_of(recipe.sweep.engine)  # UserError if it is not installed
    check_settings(recipe)
    check_deterministic(recipe, device().type)
    check_quantised(recipe)
    check_loss(recipe)
    tokenizer = load_tokenizer(recipe.model.unpruned, recipe.model)
    config = load_config(recipe.model.unpruned, recipe.model)
    check_held(recipe.sweep.engine, recipe.model.unpruned, config)
    if recipe.data.packing:
        check_kinds(config)
    if recipe.model.pruned is not None:
        check_local(recipe.model.pruned)
    check_padding(recipe)
    family = load_config(recipe.model.pruned or recipe.model.unpruned, recipe.model).model_type
    kernels_of(recipe.trainer, ground(device(), family))
    if recipe.adapter.method != "none" and not recipe.model.trust_remote_code:  # custom code may need real weights
        skeleton(recipe.model, recipe.prune, recipe.adapter)  # checks that the adapter's targets are in the model
    spec = make_sweep_spec(recipe.sweep, recipe.data.format, tokenizer)
    context, longest = context_tokens(recipe.model.unpruned, recipe.model), recipe.data.max_length_tokens
    if longest > context:
        raise UserError(
            f"data.max_length_tokens={longest}: the model's context has {context} tokens; use at most {context}"
        )
    confirm = make_confirm_spec(recipe.sweep, spec)
    reach = max(check_context(each, context, "sweep.budgets") for each in (spec, confirm) if each is not None)
    check_held(recipe.sweep.engine, recipe.model.unpruned, config, reach)
    if recipe.prune is not None:
        check_request(recipe.prune, recipe.model)
    return spec, confirm


def _check_models(recipe: Recipe, spec: SweepSpec) -> None:
    """UserError if a local model is damaged, if its embedding lacks a token of the tokenizer, or if the pruned model
    was not made from the unpruned one; one rank reads all weights once."""
    cut_from = recipe.prune.cut_from if recipe.prune else None
    for model in (recipe.model.unpruned, recipe.model.pruned, cut_from):
        if model is not None:
            check_model(model, spec.tokenizer)
    if recipe.model.pruned is None:
        return
    folder, unpruned = local_folder(recipe.model.pruned), local_folder(recipe.model.unpruned)
    if folder and unpruned and (faults := differences(folder, unpruned)):
        raise UserError("\n".join(faults))


def _check_sections(recipe: Recipe) -> None:
    """UserError if sections contradict each other, or need what this machine does not have."""
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
            f"sweep.engine.gpu_memory_share={share:g}: {engine.name} would take that much of a GPU that trains; "
            f"give it separate GPUs with sweep.devices, or use at most {MOST_OF_A_SHARED_GPU:g}"
        )
    if recipe.model.dtype == "bfloat16" and not uses_deepspeed(recipe.zero):
        raise UserError(
            "zero.stage=0 with model.dtype=bfloat16: without DeepSpeed there are no float32 master "
            "weights, so small updates would be lost to rounding; use zero.stage=1 or model.dtype=float32"
        )
    if recipe.trainer.get("save_strategy") == "no" and recipe.export.enabled:
        raise UserError(
            "trainer.save_strategy=no: the export needs a checkpoint, and there would be "
            "none; use steps or epoch, or export.enabled=false"
        )
    if recipe.trainer.get("save_strategy") == "no" and recipe.sweep.confirm is not None:
        raise UserError(
            "trainer.save_strategy=no: sweep.confirm needs a checkpoint, and there would be none; use steps or "
            "epoch, or sweep.confirm=null"
        )
