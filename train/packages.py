"""Optional packages that a recipe needs: a missing one is reported by name before anything is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec

from recipes.errors import UserError
from recipes.schema import Recipe
from recipes.tracking import other_trackers
from train.batch import setting

# module -> its name for pip, and the Trainer's optimizers that need it
# fmt: off
OPTIMIZERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "bitsandbytes": ("bitsandbytes", (
        "adamw_bnb_8bit", "adamw_8bit", "ademamix", "ademamix_8bit", "lion_8bit", "lion_32bit", "paged_adamw_32bit",
        "paged_adamw_8bit", "paged_ademamix_32bit", "paged_ademamix_8bit", "paged_lion_32bit", "paged_lion_8bit",
        "rmsprop_bnb", "rmsprop_bnb_8bit", "rmsprop_bnb_32bit")),
    "torchao": ("torchao", ("adamw_torch_4bit", "adamw_torch_8bit")),
    "galore_torch": ("galore-torch", (
        "galore_adamw", "galore_adamw_8bit", "galore_adafactor", "galore_adamw_layerwise",
        "galore_adamw_8bit_layerwise", "galore_adafactor_layerwise")),
    "lomo_optim": ("lomo-optim", ("lomo", "adalomo")),
    "apollo_torch": ("apollo-torch", ("apollo_adamw", "apollo_adamw_layerwise")),
    "schedulefree": ("schedulefree", ("schedule_free_radam", "schedule_free_adamw", "schedule_free_sgd")),
    "torchdistx": ("torchdistx", ("adamw_anyprecision",)),
    "torch_xla": ("torch_xla", ("adamw_torch_xla",)),
    "torch_npu": ("torch_npu", ("adamw_torch_npu_fused",)),
    "grokadamw": ("grokadamw", ("grokadamw",)),
    "optimi": ("torch-optimi", ("stable_adamw",)),
}
# fmt: on
TRACKERS = {"tensorboard": ("tensorboard", "tensorboardX"), "trackio": ("trackio",), "mlflow": ("mlflow",)}
"""trackers of trainer.report_to: modules of which each needs one; the first is the name for pip"""
IN_TORCH = ("adamw_torch", "adamw_torch_fused", "adafactor", "sgd", "adagrad", "rmsprop")
"""optimizers that need no other package"""


def installed(module: str) -> bool:
    return find_spec(module) is not None


def check_packages(recipe: Recipe, has: Callable[[str], bool] = installed) -> None:
    """UserError with one line per package that the trainer or its attention needs and `has` does not find.

    Other sections have their own checks: `train.quantised`, `train.fused_kernels`, the engines.
    """
    lacking = list(_missing(recipe, has))
    if lacking:
        raise UserError("\n".join(lacking))


def _missing(recipe: Recipe, has: Callable[[str], bool]) -> Iterator[str]:
    optimizer = str(setting(recipe.trainer, "optim"))
    for module, (package, names) in OPTIMIZERS.items():
        if optimizer in names and not has(module):
            yield (
                f"trainer.optim={optimizer} needs {package}, which is not installed; pip install {package}, or use "
                "adamw_torch_fused"
            )
    if recipe.model.attention == "flash_attention_2" and not has("flash_attn"):
        yield (
            "model.attention=flash_attention_2 needs flash-attn, which is not installed; pip install flash-attn "
            "--no-build-isolation, or use auto"
        )
    for tracker in other_trackers(recipe.trainer.get("report_to")):
        if not any(has(module) for module in TRACKERS[tracker]):
            package = TRACKERS[tracker][0]
            yield (
                f"trainer.report_to={tracker} needs {package}, which is not installed; pip install {package}, or leave "
                "it out (W&B is configured separately: wandb.mode)"
            )
