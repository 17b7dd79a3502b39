"""The cells of a study: one run for each arm and seed; every recipe is checked before the first run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from eval.numbers.gains import thinking_columns
from recipes.errors import UserError
from recipes.loader import Loaded, load_layers
from recipes.paths import find_recipe
from recipes.schema import Recipe
from recipes.study import ArmSection, DifferenceClaim, StudyRecipe, full_name

OWN_KEYS = ("seed", "run.dir", "run.resume", "run.cache_dir", "data.cache_dir", "dry_run", "recipe")
"""keys that the study sets for each cell"""
ASKED = ("budgets", "suites", "answer_tokens", "samples", "temperature", "top_p", "top_k", "min_p", "seed", "extend_to")
"""keys of a sweep that must be equal in all arms, since they are paired by problem"""


@dataclass(frozen=True)
class Arm:
    """An arm, or one variant of it: its overrides by layer, and the parts that are unavailable here."""

    name: str
    title: str
    layers: tuple[tuple[str, ...], ...]
    seeds: tuple[int, ...]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cell:
    """One run of the study."""

    arm: Arm
    seed: int
    recipe: Recipe

    @property
    def folder(self) -> Path:
        """Its run folder."""
        assert self.recipe.run.dir is not None
        return self.recipe.run.dir

    @property
    def name(self) -> str:
        return f"{self.arm.name}, seed {self.seed}"


def arms_of(study: StudyRecipe) -> list[Arm]:
    """Every arm with its variants, including unavailable ones."""
    return [arm for name, section in study.arms.items() if section for arm in _variants(name, section, study)]


def _variants(name: str, section: ArmSection, study: StudyRecipe) -> Iterator[Arm]:
    missing = tuple(part for part in section.parts if study.parts[part] is None)
    shared = [study.shared, *(study.parts[part] or [] for part in section.parts), section.keys]
    for variant, keys in (section.variants or {"": []}).items():
        yield Arm(
            name=full_name(name, variant),
            title=f"{section.title} {variant}" if variant else section.title,
            layers=tuple(tuple(layer) for layer in [*shared, keys] if layer),
            seeds=tuple(section.seeds or study.seeds),
            missing=missing,
        )


def cells_of(loaded: Loaded[StudyRecipe], out: Path) -> list[Cell]:
    """The cells of all available arms, in the order in which they run: every arm once before any arm a second time, so
    that a stopped study has results of each. UserError with the faults of all arms at once."""
    study = loaded.recipe
    base = find_recipe(study.base, beside=loaded.path.parent, named_by="base=")
    arms = [arm for arm in arms_of(study) if not arm.missing]
    recipes, faults = _recipes(arms, base)
    faults += [*_name_faults(arms), *_sweep_faults(recipes), *_claim_faults(study, recipes)]
    if faults:
        raise UserError("\n".join(faults))
    most = max(len(arm.seeds) for arm in arms)
    in_turn = [(arm, arm.seeds[turn]) for turn in range(most) for arm in arms if turn < len(arm.seeds)]
    return [Cell(arm, seed, placed(recipes[arm.name], arm.name, seed, out)) for arm, seed in in_turn]


def placed(recipe: Recipe, arm: str, seed: int, out: Path) -> Recipe:
    """The recipe of a cell: its seed, its folder, and the caches that all cells share."""
    folder = out / "cells" / arm / str(seed)
    run = recipe.run.changed(dir=folder, resume="auto", cache_dir=out / "cache")
    return recipe.changed(seed=seed, run=run, data=recipe.data.changed(cache_dir=out / "data"))


def _recipes(arms: list[Arm], base: Path) -> tuple[dict[str, Recipe], list[str]]:
    recipes: dict[str, Recipe] = {}
    faults = []
    for arm in arms:
        own = [key for layer in arm.layers for key in layer if key.partition("=")[0] in OWN_KEYS]
        if own:
            faults.append(f"arm {arm.name}: {own[0]}: the study sets it for each cell; leave it out")
            continue
        try:
            recipes[arm.name] = load_layers(base, arm.layers, Recipe).recipe
        except UserError as fault:
            faults += [f"arm {arm.name}: {line}" for line in str(fault).splitlines()]
    return recipes, faults


def _name_faults(arms: list[Arm]) -> Iterator[str]:
    names = [arm.name for arm in arms]
    if not names:
        yield "arms: every arm names a part that is null, so there is nothing to run"
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"arms: two arms have the name {name}, one of them a variant; rename one"


def _sweep_faults(recipes: Mapping[str, Recipe]) -> Iterator[str]:
    """Faults that prevent a comparison of arms paired by problem."""
    asked = {name: recipe.sweep.model_dump(include=set(ASKED)) for name, recipe in recipes.items()}
    decides = {name: recipe.sweep.deciding_suite.name for name, recipe in recipes.items()}
    first = next(iter(recipes), "")
    for name, recipe in recipes.items():
        different = [key for key in ASKED if asked[name][key] != asked[first][key]]
        if different or decides[name] != decides[first]:
            keys = ", ".join(f"sweep.{key}" for key in different) or "sweep.verdict.suite"
            yield f"arm {name}: differs from {first} in {keys}, but arms are paired by problem; set it in shared"
        if recipe.model.unpruned != recipes[first].model.unpruned:
            yield f"arm {name}: model.unpruned={recipe.model.unpruned} is not that of {first}"
        if len(thinking_columns(recipe.sweep.budgets)) < 2:
            yield f"arm {name}: sweep.budgets={recipe.sweep.budgets}: a gain needs two budgets above 0"


def _claim_faults(study: StudyRecipe, recipes: Mapping[str, Recipe]) -> Iterator[str]:
    for name, claim in study.claims.items():
        recipe = recipes.get(claim.arm)
        off = isinstance(claim, DifferenceClaim) and claim.number == "thinking_off"
        if off and recipe is not None and recipe.sweep.budgets[0] != 0:
            yield f"claims.{name}: thinking_off needs a first budget of 0, got sweep.budgets={recipe.sweep.budgets}"
