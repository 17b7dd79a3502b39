"""The recipe: everything that defines a run, as frozen types. No torch here, so a recipe is checked in under a second.

Units are in the names or the descriptions; accuracies are in [0, 1]; layer indices are 0-based in the unpruned model.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_serializer, field_validator, model_validator

from recipes.data import DataSection
from recipes.guard import EarlyStopSection, GuardSection, StopOnPlateau, sweep_metric
from recipes.loss import DistillLoss, LossSection, NllLoss
from recipes.on_policy import OnPolicySection
from recipes.prune import PruneSection
from recipes.run import RunSection
from recipes.section import Section
from recipes.sweep import SweepSection
from recipes.tracking import WandbSection
from recipes.trainer_fields import check_trainer_fields
from recipes.zero import ZeroSection


class ModelSection(Section):
    unpruned: str = Field(description="folder or Hub id of the unpruned model, the reference of every verdict")
    pruned: str | None = Field(
        default=None, description="folder or Hub id of a ready pruned model; without it the `prune` section makes one"
    )
    dtype: Literal["float32", "bfloat16"] = Field(default="float32", description="dtype of the weights")
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2"] = Field(
        default="auto",
        description="attention in training; auto: sdpa, which uses one kernel of torch for a packed row on a GPU "
        "(flash_attention_2 for families with a soft cap, if it is installed)",
    )
    trust_remote_code: bool = Field(
        default=False, description="run code that comes with the model (only for models you trust)"
    )


class NoAdapter(Section):
    method: Literal["none"] = Field(default="none", description="train every parameter")


class LoraAdapter(Section):
    aliases: ClassVar[Mapping[str, str]] = {  # PEFT's LoraConfig, and the American spelling
        "lora_alpha": "alpha",
        "lora_dropout": "dropout",
        "target_modules": "targets",
        "use_rslora": "rank_stabilised",
        "rank_stabilized": "rank_stabilised",
    }
    switches: ClassVar[Mapping[str, tuple[str, str, str]]] = {"use_dora": ("method", "dora", "lora")}

    method: Literal["lora", "dora", "qlora"] = Field(
        description="low-rank adapters; dora adds a learned magnitude, qlora holds the frozen weights in 4 bits"
    )
    r: int = Field(default=16, ge=1, description="rank")
    alpha: float = Field(
        default=32.0, gt=0, description="the update is scaled by alpha / r (alpha / sqrt(r) with rank_stabilised)"
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="dropout before the adapter")
    targets: str | list[str] = Field(
        default="all-linear",
        description="module names that get an adapter, each of which must be in the model (not the head, nor an "
        "embedding that is tied to it); all-linear: all but the head",
    )
    rank_stabilised: bool = Field(default=False, description="scale by alpha / sqrt(r) (rsLoRA)")


AdapterSection = Annotated[NoAdapter | LoraAdapter, Field(discriminator="method")]


class ExportSection(Section):
    enabled: bool = Field(default=True, description="export the recovered model at the end of the run")
    dtype: Literal["float32", "bfloat16"] = Field(
        default="float32", description="dtype of the exported weights; merging is done in float32"
    )
    tolerance: float = Field(
        default=1e-3,
        gt=0,
        description="largest logit difference that is accepted, in standard deviations of the logits: between merged "
        "and trained weights, and between the weights read back and the merged ones after the cast",
    )
    checkpoint: Literal["last", "best"] | Annotated[int, Field(ge=0)] = Field(
        default="last", description="checkpoint to export: the newest, the best by keep_best, or that of a step"
    )


class Recipe(Section):
    seed: int = Field(
        default=1,
        ge=0,
        lt=2**32,  # numpy accepts no larger seed
        description="seed of training: data order, adapter initialisation, dropout",
    )
    deterministic: bool = Field(
        default=False,
        description="bit-identical repeats, on a GPU too: only deterministic kernels, which may be slower",
    )
    dry_run: bool = Field(
        default=False, description="check everything that can be checked without loading the model, then stop"
    )
    run: RunSection = RunSection()
    model: ModelSection
    prune: PruneSection | None = Field(
        default=None, description="how to make the pruned model if model.pruned is not set"
    )
    adapter: AdapterSection = NoAdapter()
    loss: LossSection = NllLoss()
    data: DataSection
    on_policy: OnPolicySection | None = Field(
        default=None,
        description="distillation on thoughts of the model in training, in addition to or instead of data.traces",
    )
    trainer: Mapping[str, Any] = Field(
        default={}, validate_default=True, description="fields of TRL's SFTConfig under their own names"
    )
    zero: ZeroSection = ZeroSection()
    guard: GuardSection = GuardSection()
    sweep: SweepSection
    keep_best: str | None = Field(
        default=None,
        description="sweep/<suite>/<metric> (level: accuracy at the largest budget, base: at the smallest, gain, "
        "total_gain, termination): the best checkpoint by this number is saved right after its sweep and "
        "kept in addition to the newest ones",
    )
    early_stop: EarlyStopSection | None = Field(default=None, description="when to end before the last step")
    wandb: WandbSection = WandbSection()
    export: ExportSection = ExportSection()

    @field_validator("trainer")
    @classmethod
    def _trainer_fields(cls, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        return MappingProxyType(check_trainer_fields(fields))  # frozen, like the rest of the recipe

    @field_serializer("trainer")
    def _trainer_as_a_dictionary(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return dict(fields)

    @field_validator("keep_best")
    @classmethod
    def _is_a_metric(cls, text: str | None) -> str | None:
        return None if text is None else str(sweep_metric(text))

    @model_validator(mode="after")
    def _decided_by_sweeps(self) -> Self:
        """keep_best and early_stop act on a sweep's result at the step that it measured, so sweeps must not be late."""
        for key, section in (("keep_best", self.keep_best), ("early_stop", self.early_stop)):
            if section is not None and self.sweep.background:
                raise ValueError(f"{key} needs the result of a sweep at its own step; write sweep.background=false")
        plateau = self.early_stop.metric if isinstance(self.early_stop, StopOnPlateau) else None
        names = [suite.name for suite in self.sweep.suites]
        for key, text in (("keep_best", self.keep_best), ("early_stop.metric", plateau)):
            if text is not None and (suite := sweep_metric(text).suite) not in names:
                raise ValueError(f"{key}={text}: no suite {suite} in sweep.suites, which are {', '.join(names)}")
        if self.export.checkpoint == "best" and self.keep_best is None:
            raise ValueError(
                f"export.checkpoint=best needs keep_best, such as keep_best=sweep/{self.sweep.suites[-1].name}/gain"
            )
        return self

    @model_validator(mode="after")
    def _own_thoughts_need_a_teacher(self) -> Self:
        """The student's own tokens are not worth imitating: only the teacher's distribution over them is a target."""
        if self.on_policy is None:
            return self
        loss = self.loss
        if not isinstance(loss, DistillLoss) or loss.weight == 0 or loss.nll_weight > 0:
            raise ValueError(
                "on_policy needs loss.name=distill with a weight and loss.nll_weight=0: the model's own tokens must "
                "not serve as labels"
            )
        if loss.teacher.logits is not None or loss.tokens != "all":
            raise ValueError(
                "on_policy needs a teacher that answers while the run trains: loss.teacher=unpruned, loss.tokens=all"
            )
        if self.data.packing:
            raise ValueError("on_policy with data.packing=true: thoughts come row by row; write data.packing=false")
        return self

    @model_validator(mode="after")
    def _one_way_to_the_pruned_model(self) -> Self:
        if (self.model.pruned is None) == (self.prune is None):
            given = "neither" if self.prune is None else "both"
            raise ValueError(
                f"give either model.pruned (a ready model) or a prune section (make one), got {given}"
                + ("; write prune=null to use model.pruned" if given == "both" else "")
            )
        return self
