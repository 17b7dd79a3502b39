"""The `loss` section: what training minimises."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from recipes.section import Section

DEFAULT_SHARE = 0.2


class NllLoss(Section):
    name: Literal["nll"] = Field(default="nll", description="the negative log-likelihood of the traces (SFT)")


class TeacherSection(Section):
    """Which model teaches, and where its weights are. `unpruned` stands for the unpruned model, whole on every rank."""

    logits: Path | None = Field(
        default=None,
        description="a folder that python -m data_prep teach has written: the likeliest tokens of every position are "
        "read from it, and no second model is loaded; default: the unpruned model teaches while the run "
        "trains",
    )
    weights: Literal["model", "8bit", "4bit"] = Field(
        default="model", description="the teacher's weights: in model.dtype, or in 8 or 4 bits (bitsandbytes, a GPU)"
    )
    zero: bool = Field(
        default=False,
        description="shard the teacher over the ranks as ZeRO-3 does, if it does not fit whole (zero.stage 3 only)",
    )
    offload: Literal["none", "cpu"] = Field(
        default="none",
        description="cpu: the teacher's layers are kept in main memory and copied to the device for each forward pass",
    )

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        return {} if value == "unpruned" else value

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        given = [
            f"{key}={value}"
            for key, value, usual in (
                ("weights", self.weights, "model"),
                ("zero", str(self.zero).lower(), "false"),
                ("offload", self.offload, "none"),
            )
            if value != usual
        ]
        if self.logits is not None and given:
            raise ValueError(f"logits={self.logits} loads no teacher, so {' and '.join(given)} has no effect; keep one")
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} do not go together; keep one")
        return self


class DistillLoss(Section):
    name: Literal["distill"] = Field(
        description="the divergence from the unpruned model's distributions at the labelled tokens (logit distillation)"
    )
    teacher: TeacherSection = TeacherSection()
    divergence: Literal["forward_kl", "reverse_kl", "jsd"] = Field(
        default="forward_kl",
        description="KL(teacher || student), KL(student || teacher), or the Jensen-Shannon divergence between them",
    )
    temperature: float = Field(
        default=1.0,
        gt=0,
        description="both models' logits are divided by it; the divergence is multiplied by its square, so that "
        "gradients keep their size (arXiv 1503.02531)",
    )
    weight: float = Field(
        default=1.0,
        ge=0,
        description="factor of the divergence; 0 with nll_weight=1 is the same as loss.name=nll, bit for bit",
    )
    nll_weight: float = Field(
        default=0.0, ge=0, description="factor of the traces' negative log-likelihood, added to the divergence"
    )
    tokens: Literal["all", "damage", "entropy"] = Field(
        default="all",
        description="weight of each labelled token: all the same; in proportion to the damage by pruning (the "
        "divergence of the pruned model before training); or only the share of tokens where the unpruned "
        "model is certain and the pruned one is not (difference of entropies). The mean weight is 1",
    )
    share: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description=f"with tokens=entropy: the share of labelled tokens that count (default {DEFAULT_SHARE:g})",
    )

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.weight == 0 and self.nll_weight != 1:
            raise ValueError(
                f"weight=0 leaves the likelihood alone, so nll_weight must be 1, got {self.nll_weight:g}; or write a "
                "weight above 0"
            )
        if self.share is not None and self.tokens != "entropy":
            raise ValueError(f"share={self.share:g} belongs to tokens=entropy, got tokens={self.tokens}")
        if self.teacher.logits is not None and self.divergence != "forward_kl":
            raise ValueError(
                f"divergence={self.divergence}: stored logits hold only the teacher's likeliest tokens, "
                "which suffice for divergence=forward_kl alone; write that"
            )
        return self

    @property
    def entropy_share(self) -> float:
        return DEFAULT_SHARE if self.share is None else self.share


LossSection = Annotated[NllLoss | DistillLoss, Field(discriminator="name")]
