"""The sweeps of the unpruned model and of the pruned one before training, with which every verdict compares."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from functools import cache as cached
from pathlib import Path

from eval.checkpoint import checkpoint_hash, checkpoint_weights, fetch, find_checkpoint
from eval.kept_sweep import KeptSweep, Place
from eval.sweep import SweepSpec
from eval.types import SuiteSweep, WhichModel
from recipes.schema import ModelSection
from runtime.ranks import ALONE, Ranks, on_first_rank


@dataclass(frozen=True)
class References:
    """The sweeps that every verdict compares with, by suite."""

    unpruned: dict[str, SuiteSweep]
    pruned: dict[str, SuiteSweep]


def reference_sweep(
    which: WhichModel, path: str, section: ModelSection, spec: SweepSpec, cache: ReferenceCache
) -> dict[str, SuiteSweep]:
    """The sweep of a model that does not train, by suite; from the cache where the same was swept before."""
    if spec.engine.in_process:
        return cache.sweep(which, path, section, spec, cache.ranks)

    def by_first_rank() -> None:
        """An engine with a process of its own is driven by rank 0; the others then read what it wrote."""
        cache.sweep(which, path, section, spec, ALONE)

    on_first_rank(cache.ranks, by_first_rank)
    return cache.sweep(which, path, section, spec, cache.ranks)


@dataclass(frozen=True)
class ReferenceCache:
    """Samples files of reference sweeps under `folder`/<weights>/<protocol>, which later runs find there.

    What a run uses is put into its own `samples` too; what cannot be told from other weights is kept there alone.
    """

    folder: Path
    samples: Path
    ranks: Ranks
    devices: str | None = None

    def sweep(
        self, which: WhichModel, path: str, section: ModelSection, spec: SweepSpec, ranks: Ranks
    ) -> dict[str, SuiteSweep]:
        """The sweep of every suite; the model is loaded only where something is not there."""
        checkpoint = find_checkpoint(path)
        on_first_rank(ranks, lambda: fetch(checkpoint))
        weights_hash = checkpoint_hash(checkpoint, section)
        load = cached(lambda: replace(checkpoint_weights(checkpoint, section, spec.engine), devices=self.devices))
        sweeps: dict[str, SuiteSweep] = {}
        # suite by suite, each under its own protocol: a recipe that adds a suite finds the others in the cache
        for suite in spec.suites:
            folder = self.folder / weights_hash / spec.protocol_hash(suite) if weights_hash else self.samples
            place = Place(folder, which, 0)
            sweeps |= KeptSweep(replace(spec, suites=(suite,)), place, weights_hash, ranks).run(load)
            if weights_hash and ranks.rank == 0:
                target = Place(self.samples, which, 0).file(suite.name)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(place.file(suite.name), target)
        return sweeps
