"""The sweeps of the unpruned model and of the pruned one before training, with which every verdict compares."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache as cached
from functools import partial
from pathlib import Path

from eval.checkpoint import checkpoint_hash, checkpoint_weights, fetch, find_checkpoint
from eval.kept_sweep import KeptSweep, Place
from eval.sweep import SweepSpec
from eval.types import SuiteSweep, Weights, WhichModel
from recipes.engines import EngineSection
from recipes.schema import ModelSection, Recipe
from runtime.files import writing_fault
from runtime.ranks import ALONE, Ranks, on_first_rank
from runtime.run_folder import RunFolder
from runtime.seal import copy_sealed, file_fault


@dataclass(frozen=True)
class References:
    """The sweeps that every verdict compares with, by suite. seconds: what that of the pruned model took; None where it
    was there already."""

    unpruned: dict[str, SuiteSweep]
    pruned: dict[str, SuiteSweep]
    seconds: float | None = None


def reference_sweep(
    which: WhichModel, path: str, section: ModelSection, spec: SweepSpec, cache: ReferenceCache
) -> dict[str, SuiteSweep]:
    """The sweep of a model that does not train, by suite; from the cache where the same was swept before."""
    return by_engine(spec.engine, cache.ranks, lambda ranks: cache.sweep(which, path, section, spec, ranks))


def both_references(recipe: Recipe, pruned: str, spec: SweepSpec, folder: RunFolder, ranks: Ranks) -> References:
    """The sweeps of `spec` of the unpruned model and of the pruned one, whose samples `folder` gets; all ranks."""
    cache = ReferenceCache(recipe.run.cache_dir, folder.samples, ranks, recipe.sweep.devices)
    return References(
        unpruned=reference_sweep("unpruned", recipe.model.unpruned, recipe.model, spec, cache),
        pruned=reference_sweep("pruned", pruned, recipe.model, spec, cache),
        seconds=cache.seconds.get("pruned"),
    )


def by_engine(
    engine: EngineSection, ranks: Ranks, sweep: Callable[[Ranks], dict[str, SuiteSweep]]
) -> dict[str, SuiteSweep]:
    """`sweep` on all ranks; an engine with a process of its own is driven by rank 0, and the others then read what it
    wrote."""
    if not engine.in_process:
        on_first_rank(ranks, lambda: len(sweep(ALONE)))
    return sweep(ranks)


@dataclass(frozen=True)
class ReferenceCache:
    """Samples files of reference sweeps under `folder`/<weights>/<protocol>, which later runs find there.

    What a run uses is put into its own `samples` too; what cannot be told from other weights is kept there alone.
    seconds: what each sweep took that was not there, without the loading of the model.
    """

    folder: Path
    samples: Path
    ranks: Ranks
    devices: str | None = None
    seconds: dict[WhichModel, float] = field(default_factory=dict)

    def sweep(
        self, which: WhichModel, path: str, section: ModelSection, spec: SweepSpec, ranks: Ranks
    ) -> dict[str, SuiteSweep]:
        """The sweep of every suite; the model is loaded only where something is not there."""
        checkpoint = find_checkpoint(path)
        on_first_rank(ranks, lambda: fetch(checkpoint))
        weights_hash = checkpoint_hash(checkpoint, section)
        loaded_at: list[float] = []

        @cached
        def load() -> Weights:
            weights = replace(checkpoint_weights(checkpoint, section, spec.engine), devices=self.devices)
            loaded_at.append(time.monotonic())
            return weights

        sweeps: dict[str, SuiteSweep] = {}
        # suite by suite, each under its own protocol: a recipe that adds a suite finds the others in the cache
        for suite in spec.suites:
            folder = self.folder / weights_hash / spec.protocol_hash(suite) if weights_hash else self.samples
            usable = partial(self._usable, Place(folder, which, 0), suite.name)
            place = Place(on_first_rank(ranks, usable), which, 0)
            in_cache = place.folder != self.samples
            spare = Place(self.samples, which, 0) if in_cache else None
            sweep = KeptSweep(replace(spec, suites=(suite,)), place, weights_hash, ranks, spare)
            if in_cache:
                on_first_rank(ranks, sweep.set_others_aside)  # a foreign file in the cache is in the way of every run
            sweeps |= sweep.run(load)
            if in_cache and ranks.rank == 0 and place.file(suite.name).is_file():  # it may have filled up
                copy_sealed(place.file(suite.name), Place(self.samples, which, 0).file(suite.name))
        if loaded_at:
            self.seconds[which] = time.monotonic() - loaded_at[0]
        return sweeps

    def _usable(self, place: Place, suite: str) -> Path:
        """The place's folder, or the run's own samples where nothing can be written there and nothing sound is."""
        folder = place.file(suite).parent
        if file_fault(place.file(suite)) is None:
            return place.folder
        if fault := writing_fault(folder):
            print(
                f"run.cache_dir={self.folder}: cannot be written ({fault}); the sweeps of the references are kept in "
                "the run folder alone",
                flush=True,
            )
            return self.samples
        return place.folder
