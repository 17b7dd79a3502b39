"""Layer collapse (LaCo, arXiv 2402.11187): merges later layers into an earlier one as long as the model stays similar.

This is the paper's algorithm: a group of C layers becomes its first one plus the differences of the others to it, from
the last layers to the first, and a merge is accepted if the final hidden states stay close to those of the model before
any merge. The code published with the paper computes another sum (see `prune.merge.merge_layers`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import cosine_similarity
from transformers import PreTrainedModel

from prune.families import decoder_layers
from prune.forward import Forward, as_given, check_plain, decoder_output, exchanged, measuring
from prune.merge import TooFewMerges, check_mixes, merged_layer
from prune.methods.method import Batches, Choice, check_count, checked_means
from prune.plan import PrunePlan
from recipes.errors import UserError
from recipes.prune import LaCoPrune
from runtime.progress import progress

Group = tuple[int, ...]


@dataclass(frozen=True)
class LaCo:
    section: LaCoPrune

    @property
    def count(self) -> int:
        """At least one merge: without `layers` the threshold decides."""
        return self.section.layers or self.section.layers_merged - 1

    @property
    def calibration_traces(self) -> int:
        return self.section.calibration_traces

    def check(self, total: int) -> None:
        """Raises UserError if no group of layers fits between the bounds, or no layer would be kept."""
        check_count(total, self.count)
        section, highest = self.section, self._highest(total)
        if highest >= total:
            raise UserError(f"prune.highest={highest}: the model has layers 0 to {total - 1}")
        if section.lowest + section.layers_merged - 1 > highest:
            raise UserError(
                f"prune.layers_merged={section.layers_merged}: too few layers from {section.lowest} to {highest}; "
                "lower layers_merged or prune.lowest, or raise prune.highest"
            )

    def choose(self, model: PreTrainedModel, batches: Batches) -> Choice:
        """The groups to merge; `details` has every attempt with its cosine."""
        total = len(decoder_layers(model))
        with measuring(model):
            for batch in batches[:1]:
                check_plain(decoder_layers(model), model, batch)
            alike = _Alike(model, batches)
            groups, attempts = self._merge(alike, total)
        removed = tuple(sorted(i for group in groups for i in group[1:]))
        _check_reached(self.section, len(removed), attempts)
        return Choice(removed=removed, merged=groups, details={"attempts": attempts})

    def _merge(self, alike: _Alike, total: int) -> tuple[tuple[Group, ...], list[dict[str, Any]]]:
        """Algorithm 1 of the paper: the accepted groups in order, and all attempts.

        `place` is the paper's l, counted among the remaining layers; groups hold indices of the model that is cut.
        """
        section, left = self.section, list(range(total))
        groups: list[Group] = []
        attempts: list[dict[str, Any]] = []
        place = self._highest(total) + 1 - section.layers_merged
        with progress("merges tried", place + 1 - section.lowest, "places") as work:
            while place >= section.lowest and total - len(left) != section.layers:
                group, tried = tuple(left[place : place + self._size(total - len(left))]), place
                cosine = alike.cosine([*groups, group])
                attempts.append({"group": list(group), "cosine": cosine, "accepted": cosine > section.threshold})
                if cosine > section.threshold:
                    groups.append(group)
                    left = [i for i in left if i not in group[1:]]
                    place = min(place - section.interval, len(left) - section.layers_merged)
                else:
                    place -= 1
                work.advance(tried - place)
        return tuple(groups), attempts

    def _size(self, gone: int) -> int:
        """Layers of the next group: fewer than usual if a full group would remove more than requested."""
        section = self.section
        return (
            section.layers_merged if section.layers is None else min(section.layers_merged, section.layers - gone + 1)
        )

    def _highest(self, total: int) -> int:
        return total - 1 if self.section.highest is None else self.section.highest


class _Alike:
    """The similarity of a model's final hidden states before and after merges."""

    def __init__(self, model: PreTrainedModel, batches: Batches) -> None:
        self.model, self.batches = model, batches
        # on the CPU: they are held for the whole selection
        self.states = [_final_states(model, batch).cpu() for batch in batches]

    def cosine(self, groups: Sequence[Group]) -> float:
        """The mean over traces of the cosine between the final hidden states without and with the groups merged; all
        states of a trace form one vector. The model keeps its weights.

        This follows the published code; the paper only says that sentence representations are compared.
        """
        with exchanged(self._merged(groups)):
            cosines = [
                cosine
                for states, batch in zip(self.states, self.batches, strict=True)
                for cosine in _cosines(states, _final_states(self.model, batch), batch["attention_mask"])
            ]
        first, what = groups[-1][0], "cosine of the final hidden states with layers merged into"
        return checked_means({first: sum(cosines)}, len(cosines), what)[first]

    def _merged(self, groups: Sequence[Group]) -> Mapping[nn.Module, Forward]:
        layers = decoder_layers(self.model)
        removed = tuple(i for group in groups for i in group[1:])
        mixes = PrunePlan(method="laco", layers=len(layers), removed=removed, merged=tuple(groups)).mixes
        check_mixes(layers, mixes)
        changed = {i: merged_layer(layers, i, mix).forward for i, mix in mixes.items() if dict(mix) != {i: 1}}
        return {layers[i]: forward for i, forward in (dict.fromkeys(removed, as_given) | changed).items()}


def _final_states(model: PreTrainedModel, batch: Mapping[str, Tensor]) -> Tensor:
    states: Tensor = decoder_output(model, batch)["last_hidden_state"]  # [rows, longest, hidden]
    return states


def _cosines(before: Tensor, after: Tensor, mask: Tensor) -> list[float]:
    """The cosine of each trace, its real tokens taken as one vector; before, after: [rows, longest, hidden].

    In float64, since it is near 1, and row by row, since float64 takes four times the memory of bfloat16.
    """
    rows = zip(before, after, mask.bool(), strict=True)
    pairs = ((a[real].flatten().double(), b[real.to(b.device)].flatten().double()) for a, b, real in rows)
    return [float(cosine_similarity(a.to(b.device), b, dim=0)) for a, b in pairs]


def _check_reached(section: LaCoPrune, reached: int, attempts: Sequence[Mapping[str, Any]]) -> None:
    """Raises TooFewMerges if the threshold allowed fewer layers than requested, or none."""
    if reached == section.layers or (section.layers is None and reached):
        return
    refused = [attempt for attempt in attempts if not attempt["accepted"]]
    best = max(refused, key=lambda attempt: float(attempt["cosine"]), default=None)
    wanted = "no layer" if section.layers is None else f"{reached} of the {section.layers} layers of prune.layers"
    closest = (
        f"; the closest merge that was refused ({best['group'][0]} to {best['group'][-1]}) has a cosine of "
        f"{best['cosine']:.3f}: lower prune.threshold below that"
        if best
        else "; widen prune.lowest and prune.highest, or lower prune.interval"
    )
    raise TooFewMerges(
        f"prune.threshold={section.threshold:g}: LaCo could remove {wanted}"
        + closest
        + ("" if not reached else f", or write prune.layers={reached}")
    )
