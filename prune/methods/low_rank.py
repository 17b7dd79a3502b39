"""Low rank: brings the layers' matrices to aligned ranks, chosen jointly within one budget of parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from prune.align.knapsack import kept_energy, select_dimensions
from prune.align.ranks import rank_candidates, rank_costs
from prune.families import decoder_layers, empty_model
from prune.low_rank import singular_energies
from prune.methods.inputs import mean_squares
from prune.methods.method import Batches, Choice
from recipes.errors import UserError
from recipes.prune import LowRankPrune


@dataclass(frozen=True)
class LowRank:
    section: LowRankPrune
    count = 0

    @property
    def calibration_traces(self) -> int:
        return self.section.calibration_traces

    def check(self, total: int) -> None:
        """Any depth is allowed."""

    def check_config(self, config: Any) -> None:
        """Raises UserError for a model without linear projections, or if even the lowest ranks exceed the share."""
        if hasattr(config, "auto_map"):
            return
        linears = projections(empty_model(config))
        shapes = {name: (linear.out_features, linear.in_features) for name, linear in linears.items()}
        # any energies will do: whether the budget can be met does not depend on them
        self.ranks(shapes, {name: [0.0] * min(shape) for name, shape in shapes.items()})

    def config_values(self, config: Any) -> dict[str, Any]:
        """No changes: the factors are stored multiplied out, in the matrices' original shapes."""
        return {}

    def choose(self, model: PreTrainedModel, batches: Batches) -> Choice:
        linears = projections(model)
        means = mean_squares(model, linears, batches)
        scales = {name: mean.sqrt() for name, mean in means.items()}
        energies = {name: singular_energies(linear.weight, scales[name]) for name, linear in linears.items()}
        shapes = {name: (linear.out_features, linear.in_features) for name, linear in linears.items()}
        return Choice(removed=(), ranks=self.ranks(shapes, energies), scales=scales)

    def ranks(self, shapes: Mapping[str, tuple[int, int]], energies: Mapping[str, Any]) -> dict[str, int]:
        """The ranks of the matrices that do not stay dense. Raises UserError if even the lowest exceed the budget.

        Each matrix counts by the share of its own energy, as relative errors do.
        """
        candidates = [rank_candidates(*shape, self.section.multiple) for shape in shapes.values()]
        costs = [rank_costs(*shape, own) for shape, own in zip(shapes.values(), candidates, strict=True)]
        values = [kept_energy(energies[name], own) for name, own in zip(shapes, candidates, strict=True)]
        budget = int(self.section.share * sum(rows * columns for rows, columns in shapes.values()))
        if (least := sum(map(min, costs))) > budget:
            raise UserError(
                f"prune.share={self.section.share}: this allows {budget:,} parameters, but with the lowest ranks that "
                f"prune.multiple={self.section.multiple} allows the matrices have {least:,}; use a larger share or a "
                "smaller multiple"
            )
        chosen = select_dimensions(candidates, values, costs, budget).chosen
        full = [min(shape) for shape in shapes.values()]
        return {name: rank for name, rank, most in zip(shapes, chosen, full, strict=True) if rank < most}


def projections(model: PreTrainedModel) -> dict[str, nn.Linear]:
    """The linear projections of attention and MLP of all layers, by module name. Raises UserError if there are none, or
    if the model has experts, which are not linear modules."""
    decoder_layers(model)
    found = {
        name: module
        for name, module in model.named_modules()
        if type(module) is nn.Linear and name.startswith("model.layers.") and name.endswith("_proj")
    }
    experts = any(".experts" in name for name, _ in model.named_modules())
    if experts or not found:
        raise UserError(
            f"prune.method=low_rank: a model of type {model.config.model_type!r} is not supported: it "
            + ("has experts" if experts else "has no linear layers named *_proj")
        )
    return found
