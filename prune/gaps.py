"""Repairs a cut before any training: one linear map per gap, by least squares (ReplaceMe, arXiv 2505.02819).

Where layers were removed, the residual stream jumps from Y + C, the output of the layer before the gap (C: its MLP's
part), to L, the output of the last removed layer. T minimises |C T - (L - Y)|² over the calibration tokens, each
divided by its |L|². It folds into the MLP's last projection (`prune.folding`): the checkpoint needs no new module.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from prune.families import decoder_layers
from prune.folding import cannot_fold, faults_by_config, fold, gain_to_stream, projection_of
from prune.forward import Forward, as_given, check_plain, decoder_output, exchanged, measuring
from prune.least_squares import LeastSquares
from prune.repaired import Repair
from recipes.errors import UserError
from recipes.prune import LayersPrune, PruneSection, TailPrune
from runtime.progress import counted

Batch = Mapping[str, Tensor]

RIDGE = 1e-3
"""how strongly T is drawn to the identity, as a share of the mean of the diagonal of CᵀC: enough to determine
directions that the calibration does not show, too little to affect the others"""


def gaps_of(removed: Iterable[int]) -> list[tuple[int, ...]]:
    """The runs of neighbouring layers among `removed`, front to back: [5, 2, 6] has the gaps (2,) and (5, 6)."""
    ordered = sorted(removed)
    starts = [0, *(i for i, (a, b) in enumerate(pairwise(ordered), start=1) if b != a + 1), len(ordered)]
    return [tuple(ordered[a:b]) for a, b in pairwise(starts) if a < b]


def check_gaps(removed: Iterable[int]) -> None:
    """Raises UserError if a gap has no layer before it."""
    gaps = gaps_of(removed)
    if gaps and gaps[0][0] == 0:
        raise UserError(
            f"prune.repair=linear: layers {list(gaps[0])} are removed, and there is no MLP before layer 0 into which "
            "a map could fold; keep layer 0 or set prune.repair=none"
        )


def check_repair(section: PruneSection, config: Any, trust_remote_code: bool) -> None:
    """Raises UserError if the config already shows that no map folds. `section` counts layers in the model that is cut.
    If its method has yet to choose the layers, one layer that a map can fold into is enough."""
    if not is_repaired(section):
        return
    faults = faults_by_config(config, trust_remote_code)
    removed: Sequence[int] = section.remove if isinstance(section, LayersPrune) else ()
    if isinstance(section, TailPrune):
        removed = range(len(faults) - section.layers, len(faults))
    check_gaps(removed)
    found = [faults[gap[0] - 1] for gap in gaps_of(removed)]
    if any(found) or all(faults):
        raise cannot_fold(config.get_text_config().model_type, next(filter(None, [*found, *faults])))


def is_repaired(section: PruneSection) -> bool:
    """Whether the recipe requests a map at each gap. Methods that leave no gaps have no such key."""
    return getattr(section, "repair", "none") == "linear"


def repair_gaps(model: PreTrainedModel, removed: Sequence[int], batches: Sequence[Batch]) -> tuple[Repair, ...]:
    """Folds a map into the layer before each gap of the cut, in place; `model` still has the layers `removed`.

    Gaps are repaired front to back: Y and C are those of the cut model with earlier gaps already repaired, so a later
    map also corrects the remaining error of an earlier one. L is that of the uncut model. Raises UserError if a map
    does not fold exactly.
    """
    check_gaps(removed)
    layers, family = decoder_layers(model), model.config.model_type
    gaps = [(gap, projection_of(layers[gap[0] - 1], family)) for gap in gaps_of(removed)]
    sides, repairs = _Sides(model), []
    with measuring(model):
        check_plain(layers, model, batches[0], "prune.repair=none")
        for gap, projection in counted(gaps, "repair", len(gaps), "gaps"):
            fit = _fit(sides, gap, projection, batches)
            linear_map = fit.solve(RIDGE)
            before, after = fit.error(torch.eye(len(linear_map))), fit.error(linear_map)
            repairs.append(Repair(gap[0] - 1, gap, before, after, fit.tokens, RIDGE))
            sides.cut(gap, projection)
            fold(projection, linear_map)
    return tuple(repairs)


def _fit(sides: _Sides, gap: Sequence[int], projection: nn.Linear, batches: Sequence[Batch]) -> LeastSquares:
    """The calibration sums for the map before `gap`."""
    before, after, model = gap[0] - 1, gap[-1], sides.model
    gain = gain_to_stream(
        decoder_layers(model)[before],
        projection,
        lambda: sides.pruned(before, batches[0]),
        model.config.model_type,
    )
    fit, given = LeastSquares(projection.out_features, projection.weight.device), [torch.empty(0)]
    hook = projection.register_forward_hook(lambda _module, _arguments, output: given.__setitem__(0, output))
    try:
        for batch in counted(batches, f"map before layer {gap[0]}", len(batches), "batches"):
            real = batch["attention_mask"].bool().to(projection.weight.device)  # [rows, longest]
            here = sides.pruned(before, batch)[real].double()  # Y + C, [real tokens, hidden]
            part = gain * given[0][real].double()  # C
            fit.add(part, here - part, sides.unpruned(after, batch)[real])
    finally:
        hook.remove()
    return fit


@dataclass(frozen=True)
class _Sides:
    """One model in memory, run as it was before the cut and as it is after the cut and the repairs so far."""

    model: PreTrainedModel
    gone: dict[nn.Module, Forward] = field(default_factory=dict)
    """removed layers before this gap; they return their input"""
    original: dict[nn.Module, Forward] = field(default_factory=dict)
    """the original projections into which maps were folded"""

    def cut(self, gap: Sequence[int], projection: nn.Linear) -> None:
        """Adds `gap` to the removed layers; called before a map is folded into `projection`."""
        layers = decoder_layers(self.model)
        self.gone.update({layers[i]: as_given for i in gap})
        self.original[projection] = deepcopy(projection).forward

    def pruned(self, index: int, batch: Batch) -> Tensor:
        """The residual stream after layer `index` in the cut model [rows, longest, hidden]."""
        return self._after(index, self.gone, batch)

    def unpruned(self, index: int, batch: Batch) -> Tensor:
        """The residual stream after layer `index` in the uncut model [rows, longest, hidden]."""
        return self._after(index, self.original, batch)

    def _after(self, index: int, changed: Mapping[nn.Module, Forward], batch: Batch) -> Tensor:
        layers, states = decoder_layers(self.model), [torch.empty(0)]
        behind = dict.fromkeys(layers[index + 1 :], as_given)  # not needed, so not computed
        hook = layers[index].register_forward_hook(lambda _layer, _arguments, output: states.__setitem__(0, output))
        try:
            with exchanged({**changed, **behind}):
                decoder_output(self.model, batch)
        finally:
            hook.remove()
        return states[0]
