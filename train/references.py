"""Reference sweeps: of the unpruned model, and of the pruned one before training. Every verdict compares with them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache as cached
from functools import partial
from pathlib import Path

from eval.checkpoint import checkpoint_hash, checkpoint_weights, fetch, find_checkpoint
from eval.engines.pace import Pace
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
    """The sweeps that every verdict compares with, by suite. seconds: duration of each, without those of which
    a part was cached; paces: of what was not cached."""

    unpruned: dict[str, SuiteSweep]
    pruned: dict[str, SuiteSweep]
    seconds: Mapping[WhichModel, float] = field(default_factory=dict)
    paces: Mapping[WhichModel, Pace] = field(default_factory=dict)


def reference_sweep(
    which: WhichModel, path: str, section: ModelSection, spec: SweepSpec, cache: ReferenceCache
) -> dict[str, SuiteSweep]:
    """The sweep of a model that does not train, by suite; from the cache if it was swept before."""
    return by_engine(spec.engine, cache.ranks, lambda ranks: cache.sweep(which, path, section, spec, ranks))


def both_references(recipe: Recipe, pruned: str, spec: SweepSpec, folder: RunFolder, ranks: Ranks) -> References:
    """Sweeps the unpruned and the pruned model by `spec` and writes their samples to `folder`; all ranks must call
    it."""
    cache = ReferenceCache(recipe.run.cache_dir, folder.samples, ranks, recipe.sweep.devices)
    return References(
        unpruned=reference_sweep("unpruned", recipe.model.unpruned, recipe.model, spec, cache),
        pruned=reference_sweep("pruned", pruned, recipe.model, spec, cache),
        seconds=cache.seconds,
        paces=cache.paces,
    )


def by_engine(
    engine: EngineSection, ranks: Ranks, sweep: Callable[[Ranks], dict[str, SuiteSweep]]
) -> dict[str, SuiteSweep]:
    """Runs `sweep` on all ranks; an engine in a separate process is driven by rank 0, and the others then read its
    results."""
    if not engine.in_process:
        on_first_rank(ranks, lambda: len(sweep(ALONE)))
    return sweep(ranks)


@dataclass(frozen=True)
class ReferenceCache:
    """Samples files of reference sweeps in `folder`/<weights>/<protocol>, for reuse by later runs.

    A run also copies what it uses into its own `samples`; weights without an identity are kept only there. seconds:
    duration of each sweep of which nothing was cached, without loading the model; paces: of what was decoded.
    """

    folder: Path
    samples: Path
    ranks: Ranks
    devices: str | None = None
    seconds: dict[WhichModel, float] = field(default_factory=dict)
    paces: dict[WhichModel, Pace] = field(default_factory=dict)

    def sweep(
        self, which: WhichModel, path: str, section: ModelSection, spec: SweepSpec, ranks: Ranks
    ) -> dict[str, SuiteSweep]:
        """The sweep of every suite; the model is loaded only if something is missing."""
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
        found_a_part = False
        # one suite at a time, each with its own protocol: a recipe that adds a suite finds the others in the cache
        for suite in spec.suites:
            folder = self.folder / weights_hash / spec.protocol_hash(suite) if weights_hash else self.samples
            usable = partial(self._usable, Place(folder, which, 0), suite.name)
            place = Place(on_first_rank(ranks, usable), which, 0)
            found_a_part |= any(place.file(suite.name).parent.glob(f"{place.file(suite.name).name}*"))  # or a journal
            in_cache = place.folder != self.samples
            spare = Place(self.samples, which, 0) if in_cache else None
            sweep = KeptSweep(replace(spec, suites=(suite,)), place, weights_hash, ranks, spare)
            if in_cache:
                on_first_rank(ranks, sweep.set_others_aside)  # an invalid file in the cache would block every run
            sweeps |= sweep.run(load)
            self.paces.setdefault(which, Pace()).include(sweep.pace)
            if in_cache and ranks.rank == 0 and place.file(suite.name).is_file():  # the cache's disk may have filled up
                copy_sealed(place.file(suite.name), Place(self.samples, which, 0).file(suite.name))
        if loaded_at and not found_a_part:
            self.seconds[which] = time.monotonic() - loaded_at[0]
        return sweeps

    def _usable(self, place: Place, suite: str) -> Path:
        """The place's folder, or the run's own samples if the folder is not writable and has no valid file."""
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
