"""The recipe of a study: arms over a base recipe, trained with several seeds, and what is expected of them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from recipes.file_names import FileName
from recipes.section import Section

MODELS = ("unpruned", "pruned")
"""what an arm may be compared with besides another arm: its own models before training"""

Number = Literal["level", "gain", "termination", "thinking_off"]


class ArmSection(Section):
    title: str = Field(min_length=1, description="name of the arm in tables and sentences")
    parts: list[str] = Field(default=[], description="names of `parts`, laid over the base and `shared` in this order")
    keys: list[str] = Field(default=[], description="key=value overrides of its own, laid over its parts")
    variants: dict[str, list[str]] = Field(
        default={},
        description="name to key=value overrides: each is an arm of its own, called "
        "ARM-NAME, whose title is followed by the name",
    )
    seeds: list[int] | None = Field(
        default=None, min_length=1, description="its seeds, if they differ from the study's"
    )

    @field_validator("seeds")
    @classmethod
    def _differ(cls, seeds: list[int] | None) -> list[int] | None:
        return None if seeds is None else different_seeds(seeds)


class BackClaim(Section):
    """The claim that more, or less, than a given share is recovered: of the accuracy that pruning took at the largest
    budget (level), or of the unpruned model's gain per doubling (gain)."""

    kind: Literal["back"] = Field(description="how much is recovered")
    arm: str = Field(description="whose trainings")
    number: Literal["level", "gain"] = Field(
        description="of the level that pruning lost, or of the unpruned model's gain"
    )
    share: float = Field(default=0.8, ge=0, le=1, description="the share to compare with")
    expected: Literal["above", "below"] = Field(description="on which side of the share it is expected")
    why: str = Field(default="", description="why it is expected")


class DifferenceClaim(Section):
    """The claim that one number of an arm is above, or below, that of another arm or of its models before training."""

    kind: Literal["difference"] = Field(description="an arm minus another arm, or minus a model before training")
    arm: str = Field(description="whose trainings")
    against: str = Field(description="another arm, or unpruned or pruned: the arm's own models before training")
    number: Number = Field(
        description="level: accuracy at the largest budget; gain: per doubling; termination: share of thoughts that "
        "end by themselves; thinking_off: accuracy at budget 0"
    )
    expected: Literal["above", "below"] = Field(description="on which side of the other it is expected")
    why: str = Field(default="", description="why it is expected")


ClaimSection = Annotated[BackClaim | DifferenceClaim, Field(discriminator="kind")]


class StudyRecipe(Section):
    question: str = Field(min_length=1, description="what the study asks; the heading of its page")
    base: str = Field(description="the recipe that every arm changes, a path or a shipped one")
    shared: list[str] = Field(default=[], description="key=value overrides of every arm")
    parts: dict[str, list[str] | None] = Field(
        default={},
        description="named key=value overrides that arms share, such as where traces come from; null: not available "
        "here, so that arms which name it are left out and listed",
    )
    arms: dict[FileName, ArmSection | None] = Field(
        min_length=1, description="name to arm; null removes an arm of the parent"
    )
    seeds: list[int] = Field(default=[1, 2, 3], min_length=1, description="training seeds, one run each")
    pairs: list[list[str]] = Field(
        default=[], description="[arm, other arm]: whose paired differences are shown, with Holm's correction"
    )
    claims: dict[str, ClaimSection] = Field(
        default={}, description="name to what is expected; written down with a hash before the first run starts"
    )
    tokens_tolerance: float = Field(
        default=0.05, ge=0, lt=1, description="arms whose labelled tokens differ by a larger share are marked in pairs"
    )

    @field_validator("seeds")
    @classmethod
    def _differ(cls, seeds: list[int]) -> list[int]:
        return different_seeds(seeds)

    @field_validator("pairs")
    @classmethod
    def _two_names(cls, pairs: list[list[str]]) -> list[list[str]]:
        if wrong := next((pair for pair in pairs if len(pair) != 2 or pair[0] == pair[1]), None):
            raise ValueError(f"{wrong}: a pair is two different arms, such as [own, foreign]")
        return pairs

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        unknown = sorted({part for arm in self.arms.values() if arm for part in arm.parts if part not in self.parts})
        if unknown:
            raise ValueError(
                f"arms name the parts {', '.join(unknown)}, which are not in parts: {', '.join(self.parts)}"
            )
        names = self.arm_names()
        wanted = [name for pair in self.pairs for name in pair]
        for claim in self.claims.values():
            wanted.append(claim.arm)
            if isinstance(claim, DifferenceClaim) and claim.against not in MODELS:
                wanted.append(claim.against)
        if missing := sorted({name for name in wanted if name not in names}):
            raise ValueError(f"pairs or claims name {', '.join(missing)}; the arms are {', '.join(names)}")
        return self

    def arm_names(self) -> list[str]:
        """The arms with their variants, including those that are not available here."""
        return [
            full_name(name, variant) for name, arm in self.arms.items() if arm for variant in (arm.variants or [""])
        ]


def full_name(arm: str, variant: str) -> str:
    """The name of an arm's variant; the arm's own if it has none."""
    return f"{arm}-{variant}" if variant else arm


def different_seeds(seeds: list[int]) -> list[int]:
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds must differ, got {seeds}")
    return seeds
