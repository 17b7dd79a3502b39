"""The models of a run: the folders of the unpruned and the pruned one, and the model in training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from peft import LoraConfig, PeftModel
from transformers import PreTrainedModel

from data_prep.fingerprint import local_folder
from data_prep.prepared.prepare import Prepared
from prune.channels import facts_of
from prune.inspect import check_folder
from prune.make import make_pruned
from prune.plan import FILE_NAME as PLAN
from prune.plan import Cut, describe_cut
from prune.plan import load as load_plan
from recipes.errors import UserError
from recipes.prune import WidthPrune
from recipes.schema import AdapterSection, LoraAdapter, Recipe
from runtime.ranks import Ranks, on_first_rank
from runtime.run_folder import RunFolder


def pruned_path(recipe: Recipe, calibration: Callable[[], Prepared], folder: RunFolder, ranks: Ranks) -> str:
    """The checked folder of the pruned model: the recipe's, or one that rank 0 prunes into the run folder.

    calibration: returns the traces for a pruning method's measurements.
    """
    if recipe.prune is not None:
        section, path = recipe.prune, folder.pruned
        on_first_rank(ranks, lambda: make_pruned(section, recipe.model, calibration, path).method)
    named = str(recipe.model.pruned or folder.pruned)
    on_first_rank(ranks, lambda: check_local(named))
    return named


def check_local(model: str) -> None:
    """UserError if the weights' headers of a pruned model contradict its config or plan; skipped if it is not local."""
    folder = local_folder(model)
    if folder is not None:
        check_folder(folder)


def check_padding(recipe: Recipe) -> None:
    """UserError for DoRA on a model with layers padded with zeros: DoRA divides by the norm of each row."""
    folder = local_folder(recipe.model.pruned) if recipe.model.pruned else None
    plan = load_plan(folder) if folder is not None and (folder / PLAN).is_file() else None
    made = isinstance(recipe.prune, WidthPrune) and recipe.prune.widths == "by_layer"
    read = plan is not None and plan.channels is not None and plan.channels.is_uneven
    if recipe.adapter.method == "dora" and (made or read):
        raise UserError(
            "adapter.method=dora: the layers of the pruned model differ in width and are padded with zeros, and DoRA "
            "divides by the norm of each row; use adapter.method=lora, or one width for all (prune.widths=uniform)"
        )


def plan_facts(pruned: str) -> dict[str, Any] | None:
    """The prune plan next to the weights, for the run record; None if an existing pruned model has none."""
    folder = local_folder(pruned)
    if folder is None or not (folder / PLAN).is_file():
        return None
    plan = load_plan(folder)
    return {
        "method": plan.method,
        "layers": plan.layers,
        "removed": list(plan.removed),
        "scores": list(plan.scores),
        "unpruned": plan.unpruned,
        "source": plan.source,
        **({"merged": [list(group) for group in plan.merged]} if plan.merged else {}),
        **({"channels": facts_of(plan.channels)} if plan.channels is not None else {}),
        **({"ranks": dict(plan.ranks)} if plan.ranks else {}),
        **({"in words": describe_cut(plan)} if plan.channels is not None or plan.ranks else {}),
        **({"repairs": [asdict(each) for each in plan.repairs]} if plan.repairs else {}),
        **({"cuts": [_cut_facts(cut) for cut in plan.cuts]} if plan.cuts else {}),
    }


def _cut_facts(cut: Cut) -> dict[str, Any]:
    facts = {"method": cut.method, "removed": list(cut.removed), "source": cut.source}
    facts |= {"merged": [list(group) for group in cut.merged]} if cut.merged else {}
    return facts | ({"narrowed": cut.narrowed} if cut.narrowed else {})


def peft_config(adapter: AdapterSection) -> LoraConfig | None:
    """The adapter for TRL, or None if every parameter trains."""
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
def gathered_model(trainer: Any) -> Iterator[PreTrainedModel]:
    """The model in training with all its weights on this rank; under ZeRO-3 they are gathered once, then released.

    All ranks must enter. Adapters stay active. The sharding hooks are always restored.
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
