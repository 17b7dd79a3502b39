"""Width pruning: every gated MLP loses the channels with the least activation energy; no layer is removed.

A channel's energy is the mean square of its contribution to the residual stream, E[h_c^2] |d_c|^2: h_c is its
activation act(gate) * up, d_c its column of the down projection. This is Wanda's score of a weight (arXiv 2306.11695),
squared and summed over the column. Correlations between channels are ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from prune.align.knapsack import kept_energy, select_dimensions
from prune.channels import Channels
from prune.gated import check_gated, gated_mlps
from prune.methods.inputs import mean_squares
from prune.methods.method import Batches, Choice
from recipes.errors import UserError
from recipes.prune import WidthPrune

Energies = NDArray[np.float64]


@dataclass(frozen=True)
class Width:
    section: WidthPrune
    count = 0

    @property
    def calibration_traces(self) -> int:
        return self.section.calibration_traces

    def check(self, total: int) -> None:
        """Any depth is allowed."""

    def check_config(self, config: Any) -> None:
        """Raises UserError for a model without gated MLPs, or for a width that is not below its own or leaves none."""
        check_gated(config)
        target_width(self.section, int(config.intermediate_size))

    def config_values(self, config: Any) -> dict[str, Any]:
        full = int(config.intermediate_size)
        target = target_width(self.section, full)
        # by layer: a layer may keep all channels that the multiple allows
        most = full // self.section.multiple * self.section.multiple
        return {"intermediate_size": target if self.section.widths == "uniform" else most}

    def choose(self, model: PreTrainedModel, batches: Batches) -> Choice:
        energies = channel_energies(model, batches)
        full = len(energies[0])
        target = target_width(self.section, full)
        if self.section.widths == "uniform":
            widths = [target] * len(energies)
        else:
            widths = widths_by_layer(energies, channel_budget(self.section, full, len(energies)), self.section.multiple)
        kept = [strongest(own, width) for own, width in zip(energies, widths, strict=True)]
        scores = [kept_energy(own, [width])[0] for own, width in zip(energies, widths, strict=True)]
        return Choice(removed=(), scores=tuple(scores), channels=Channels(full, tuple(kept)))


def target_width(section: WidthPrune, full: int) -> int:
    """The number of channels that stay in each layer, a multiple of `section.multiple` below `full`.

    A share is rounded down, so that at most the share stays. Raises UserError if no channel stays, or none goes.
    """
    if section.width is not None:
        target, asked = section.width, f"prune.width={section.width}"
    else:
        target = int((section.share or 0) * full) // section.multiple * section.multiple
        asked = f"prune.share={section.share} with prune.multiple={section.multiple} gives {target} channels"
    if not 0 < target < full:
        raise UserError(
            f"{asked}: the model has {full} channels in each MLP, and between 1 and {full - 1} can stay, in multiples "
            f"of prune.multiple={section.multiple}"
        )
    return target


def channel_budget(section: WidthPrune, full: int, layers: int) -> int:
    """The total number of channels that may stay if each layer has a width of its own."""
    return section.width * layers if section.width is not None else int((section.share or 0) * full * layers)


def channel_energies(model: PreTrainedModel, batches: Batches) -> list[Energies]:
    """E[h_c^2] |d_c|^2 of every channel c of every layer, [channels] each; see the module's docstring."""
    downs = {f"layer {i}": mlp.get_submodule("down_proj") for i, mlp in enumerate(gated_mlps(model))}
    means = mean_squares(model, downs, batches)
    with torch.no_grad():
        norms = {
            name: down.get_parameter("weight").double().square().sum(dim=0).cpu() for name, down in downs.items()
        }  # [channels]
    return [(means[name] * norms[name]).numpy() for name in downs]


def strongest(energies: Energies, count: int) -> tuple[int, ...]:
    """The `count` channels with the most energy, ascending; ties keep the earlier one."""
    ranked = sorted(range(len(energies)), key=lambda channel: (-energies[channel], channel))
    return tuple(sorted(ranked[:count]))


def widths_by_layer(energies: Sequence[Energies], budget: int, multiple: int) -> list[int]:
    """A multiple for each layer, in total at most `budget` channels, that keeps the most energy.

    Each layer counts by the share of its own energy: absolute energies grow with depth, as the residual stream does,
    and would leave early layers nothing.
    """
    candidates = list(range(multiple, len(energies[0]) + 1, multiple))
    values = [kept_energy(own, candidates) for own in energies]
    # a channel costs the same in every layer, so channels are counted instead of parameters
    chosen = select_dimensions([candidates] * len(energies), values, [candidates] * len(energies), budget)
    return list(chosen.chosen)
