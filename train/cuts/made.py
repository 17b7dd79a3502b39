"""Makes and sweeps the pruned models of a comparison."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter

from data_prep.prepared.prepare import Prepared
from eval.__main__ import sweep_checkpoint
from eval.numbers.summary import Row
from prune.calibration import set_of_recipe
from prune.make import check_request, make_pruned
from prune.merge import TooFewMerges
from prune.plan import PrunePlan
from recipes.prune import LaCoPrune, PruneSection
from recipes.schema import Recipe
from train.cuts.trained import Trained, train_shortly

SECTION: TypeAdapter[PruneSection] = TypeAdapter(PruneSection)
CALIBRATION = ("calibration", "calibration_traces")
SHARED = ("cut_from", "repair", *CALIBRATION)
"""keys of the recipe's own `prune` section that every method with such a key takes over"""

THRESHOLDS = (0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0, -0.5, -1.0)
"""thresholds of LaCo; it uses the first that removes the required number of layers"""


@dataclass(frozen=True)
class Measured:
    """One model: its method (`unpruned` if there is no plan), number of layers removed, rows of sweeps.jsonl, and
    LaCo's threshold."""

    method: str
    layers: int
    plan: PrunePlan | None
    rows: tuple[Row, ...]
    threshold: float | None = None
    trained: Trained | None = None
    """the sweep after a short training, if there was one"""


def section_of(method: str, layers: int, recipe: Recipe) -> PruneSection:
    """The section of a method, with the calibration traces of the recipe's own section."""
    own = dict(recipe.prune) if recipe.prune is not None else {}
    bare = SECTION.validate_python({"method": method, "layers": layers})
    given = own.keys() & (recipe.prune.model_fields_set if recipe.prune is not None else set())
    if method == "tail" and own.get("repair", "none") == "none":
        given -= set(CALIBRATION)  # it has these only for repairs
    return bare.changed(**{key: own[key] for key in SHARED if key in given and key in type(bare).model_fields})


def check_all(recipe: Recipe, methods: Sequence[str], layers: Sequence[int]) -> None:
    """UserError, before anything is loaded, if a cut is impossible."""
    for method in methods:
        for count in layers:
            check_request(section_of(method, count, recipe), recipe.model)


def measured(
    recipe: Recipe, methods: Sequence[str], layers: Sequence[int], train_steps: int, out: Path
) -> list[Measured]:
    """The unpruned model, then every method with every number of layers, each swept and kept in `out`.

    train_steps: each pruned model is also trained for this many steps and swept again; 0: no training.
    """

    @cache
    def calibration() -> Prepared:
        return set_of_recipe(recipe)

    done = [Measured("unpruned", 0, None, _swept(recipe.model.unpruned, "unpruned", recipe, out))]
    for method in methods:
        for count in layers:
            cut = _cut(section_of(method, count, recipe), recipe, calibration, out / "models")
            print(f"{cut.folder.name}: without layers {', '.join(map(str, cut.plan.removed))}", flush=True)
            rows = _swept(str(cut.folder), cut.folder.name, recipe, out)
            place = out / "trained" / f"{cut.folder.name}-{train_steps}"
            trained = train_shortly(recipe, cut.folder, train_steps, place) if train_steps else None
            done.append(Measured(method, count, cut.plan, rows, cut.threshold, trained))
    return done


@dataclass(frozen=True)
class _Cut:
    folder: Path
    plan: PrunePlan
    threshold: float | None = None


def _cut(section: PruneSection, recipe: Recipe, calibration: Callable[[], Prepared], models: Path) -> _Cut:
    """The pruned model, in its own folder in `models`."""
    if not isinstance(section, LaCoPrune):
        folder = models / f"{section.method}-{getattr(section, 'layers', 0)}"
        return _Cut(folder, make_pruned(section, recipe.model, calibration, folder))
    for threshold in THRESHOLDS:
        folder = models / f"laco-{section.layers}-{threshold:g}"
        try:
            plan = make_pruned(section.changed(threshold=threshold), recipe.model, calibration, folder)
        except TooFewMerges:
            if threshold == THRESHOLDS[-1]:  # every merge passes it, so the method's bounds are the reason
                raise
        else:
            return _Cut(folder, plan, threshold)
    raise AssertionError("the last threshold returns or raises")


def _swept(path: str, name: str, recipe: Recipe, out: Path) -> tuple[Row, ...]:
    return tuple(sweep_checkpoint(path, recipe, out / "sweeps" / name, 0))
