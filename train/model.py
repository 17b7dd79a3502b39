"""The models of a run: the unpruned and the pruned one as folders, their reference sweeps, and the one in training."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peft import LoraConfig, PeftModel
from transformers import PreTrainedModel

from data_prep.fingerprint import fingerprint, local_folder
from data_prep.models import load_config, load_model
from eval.ranks import Ranks, on_first_rank
from eval.samples import GradedThought, read_sweep
from eval.sweep import SweepPlan, save_thoughts, suite_sweep, sweep_model
from eval.types import SuiteSweep, WhichModel
from prune.inspect import check_folder
from prune.make import make_pruned
from prune.plan import load as load_plan
from recipes.schema import AdapterSection, LoraAdapter, ModelSection, Recipe
from train.ranks import device


def pruned_path(recipe: Recipe, folder: Path, ranks: Ranks) -> str:
    """Where the pruned model lies: the recipe's own, or one that rank 0 cuts into the run folder. It is checked."""
    if recipe.prune is not None:
        section, path = recipe.prune, folder / "pruned"
        on_first_rank(ranks, lambda: make_pruned(section, recipe.model, recipe.data, path))
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
    return {"method": plan.method, "layers": plan.layers, "removed": list(plan.removed), "scores": list(plan.scores),
            "unpruned": plan.unpruned, "source": plan.source}


@dataclass(frozen=True)
class References:
    """The sweeps that every verdict compares with, by suite."""

    unpruned: dict[str, SuiteSweep]
    pruned: dict[str, SuiteSweep]


def reference_sweep(which: WhichModel, path: str, section: ModelSection, plan: SweepPlan,
                    cache: ReferenceCache) -> dict[str, SuiteSweep]:
    """The sweep of a model that does not train, by suite; from the cache where the same was swept before."""
    place = cache.place(path, section.dtype)
    known = cache.look_up(which, place, plan)
    if known is not None:
        return known
    model = load_model(path, section).to(device())  # type: ignore[arg-type]
    thoughts = sweep_model(model, plan, cache.ranks)
    sweeps = {suite.name: suite_sweep(suite, plan, thoughts[suite.name], which, 0) for suite in plan.suites}
    cache.keep(place, sweeps, thoughts)
    return sweeps


@dataclass(frozen=True)
class ReferenceCache:
    """Samples files of reference sweeps under `folder`/<fingerprint>-<dtype>/<protocol>, kept and read by rank 0.

    What a run uses is put into its own `samples` too.
    """

    folder: Path
    samples: Path
    ranks: Ranks

    def place(self, path: str, dtype: str) -> Path | None:
        """The folder of one model's sweeps; None where its weights cannot be fingerprinted, so nothing is kept."""
        mark = fingerprint(path).removeprefix("sha256:")[:16]
        return self.folder / f"{mark}-{dtype}" if mark else None

    def look_up(self, which: WhichModel, place: Path | None, plan: SweepPlan) -> dict[str, SuiteSweep] | None:
        """All suites of `plan`, or None where one is missing."""
        def read() -> dict[str, SuiteSweep] | None:
            if place is None:
                return None
            files = {suite.name: place / plan.protocol_hash(suite) / suite.name / f"{which}-000000.jsonl"
                     for suite in plan.suites}
            if not all(file.is_file() for file in files.values()):
                return None
            for name, file in files.items():
                (self.samples / name).mkdir(parents=True, exist_ok=True)
                shutil.copy(file, self.samples / name)
            return {name: read_sweep(file) for name, file in files.items()}

        return on_first_rank(self.ranks, read)

    def keep(self, place: Path | None, sweeps: dict[str, SuiteSweep], thoughts: dict[str, list[GradedThought]]) -> None:
        """Writes the samples of every suite, from rank 0."""
        if self.ranks.rank != 0:
            return
        for name, sweep in sweeps.items():
            for home in (self.samples, *([place / sweep.protocol] if place is not None else [])):
                save_thoughts(home, sweep, thoughts[name])


def peft_config(adapter: AdapterSection) -> LoraConfig | None:
    """The adapter for TRL, or None where every parameter trains."""
    if not isinstance(adapter, LoraAdapter):
        return None
    return LoraConfig(
        r=adapter.r, lora_alpha=adapter.alpha, lora_dropout=adapter.dropout, target_modules=adapter.targets,
        use_rslora=adapter.rank_stabilised, use_dora=adapter.method == "dora", task_type="CAUSAL_LM")


def context_tokens(path: str, section: ModelSection) -> int:
    """The longest sequence that the model was made for."""
    return int(getattr(load_config(path, section), "max_position_embeddings", 10**9))


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
