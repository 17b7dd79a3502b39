"""The models of a run: the unpruned and the pruned one as folders, their reference sweeps, and the one in training."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache as cached
from pathlib import Path
from typing import Any

from peft import LoraConfig, PeftModel
from transformers import PreTrainedModel

from data_prep.fingerprint import local_folder
from eval.checkpoint import checkpoint_hash, checkpoint_weights, fetch, find_checkpoint
from eval.kept_sweep import KeptSweep, Place
from eval.sweep import SweepSpec
from eval.types import SuiteSweep, WhichModel
from prune.inspect import check_folder
from prune.make import make_pruned
from prune.plan import load as load_plan
from recipes.schema import AdapterSection, LoraAdapter, ModelSection, Recipe
from runtime.ranks import ALONE, Ranks, on_first_rank


def pruned_path(recipe: Recipe, folder: Path, ranks: Ranks) -> str:
    """Where the pruned model lies: the recipe's own, or one that rank 0 cuts into the run folder. It is checked."""
    if recipe.prune is not None:
        section, path = recipe.prune, folder / "pruned"
        on_first_rank(
            ranks,
            lambda: str(make_pruned(section, recipe.model, recipe.data, path, recipe.sweep.suites).method),
        )
    named = str(recipe.model.pruned or folder / "pruned")
    on_first_rank(ranks, lambda: check_local(named))
    return named


def check_local(model: str) -> None:
    """UserError where the weights at `model` do not fit their config; what is not on this machine is not checked."""
    found = local_folder(model)
    if found is not None:
        check_folder(found)


def plan_facts(pruned: str) -> dict[str, Any] | None:
    """The prune plan beside the weights, for the run record; None where a ready model came without one."""
    found = local_folder(pruned)
    if found is None or not (found / "prune_plan.json").is_file():
        return None
    plan = load_plan(found)
    return {
        "method": plan.method,
        "layers": plan.layers,
        "removed": list(plan.removed),
        "scores": list(plan.scores),
        "unpruned": plan.unpruned,
        "source": plan.source,
    }


@dataclass(frozen=True)
class References:
    """The sweeps that every verdict compares with, by suite."""

    unpruned: dict[str, SuiteSweep]
    pruned: dict[str, SuiteSweep]


def reference_sweep(
    which: WhichModel, path: str, section: ModelSection, spec: SweepSpec, cache: ReferenceCache
) -> dict[str, SuiteSweep]:
    """The sweep of a model that does not train, by suite; from the cache where the same was swept before."""
    if spec.engine.in_process:
        return cache.sweep(which, path, section, spec, cache.ranks)

    def alone() -> str:  # an engine with a process of its own is driven by rank 0
        return str(len(cache.sweep(which, path, section, spec, ALONE)))

    on_first_rank(cache.ranks, alone)
    return cache.sweep(which, path, section, spec, cache.ranks)


@dataclass(frozen=True)
class ReferenceCache:
    """Samples files of reference sweeps under `folder`/<weights>/<protocol>, which later runs find there.

    What a run uses is put into its own `samples` too; what cannot be told from other weights is kept there alone.
    """

    folder: Path
    samples: Path
    ranks: Ranks
    devices: str | None = None

    def sweep(
        self, which: WhichModel, path: str, section: ModelSection, spec: SweepSpec, ranks: Ranks
    ) -> dict[str, SuiteSweep]:
        """The sweep of every suite; the model is loaded only where something is not there."""
        checkpoint = find_checkpoint(path)
        on_first_rank(ranks, lambda: fetch(checkpoint))
        weights_hash = checkpoint_hash(checkpoint, section)
        load = cached(lambda: replace(checkpoint_weights(checkpoint, section, spec.engine), devices=self.devices))
        found: dict[str, SuiteSweep] = {}
        for suite in spec.suites:
            folder = self.folder / weights_hash / spec.protocol_hash(suite) if weights_hash else self.samples
            place = Place(folder, which, 0)
            found |= KeptSweep(replace(spec, suites=(suite,)), place, weights_hash, ranks).run(load)
            if weights_hash and ranks.rank == 0:
                target = Place(self.samples, which, 0).file(suite.name)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(place.file(suite.name), target)
        return found


def peft_config(adapter: AdapterSection) -> LoraConfig | None:
    """The adapter for TRL, or None where every parameter trains."""
    if not isinstance(adapter, LoraAdapter):
        return None
    return LoraConfig(
        r=adapter.r,
        lora_alpha=adapter.alpha,
        lora_dropout=adapter.dropout,
        target_modules=adapter.targets,
        use_rslora=adapter.rank_stabilised,
        use_dora=adapter.method == "dora",
        task_type="CAUSAL_LM",
    )


@contextmanager
def whole_model(trainer: Any) -> Iterator[PreTrainedModel]:
    """The model in training with all its weights on this rank; under ZeRO-3 they are gathered once, then let go.

    All ranks must enter. Adapters stay live. The sharding hooks come back whatever happens inside.
    """
    inner = trainer.accelerator.unwrap_model(trainer.model_wrapped)
    base: PreTrainedModel = inner.get_base_model() if isinstance(inner, PeftModel) else inner
    plugin = trainer.accelerator.state.deepspeed_plugin
    if plugin is None or plugin.zero_stage != 3:
        yield base
        return
    import deepspeed
    from trl.models.utils import add_hooks, remove_hooks

    with deepspeed.zero.GatheredParameters(list(inner.parameters())):
        remove_hooks(trainer.model_wrapped)
        try:
            yield base
        finally:
            add_hooks(trainer.model_wrapped)
