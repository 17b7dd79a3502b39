"""The prune plan: which layers of which unpruned model are removed or merged, and why."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from prune.channels import Channels, describe_channels, from_fields, to_fields
from recipes.errors import UserError
from runtime.files import write_whole

FILE_NAME = "prune_plan.json"


@dataclass(frozen=True)
class PrunePlan:
    """What is removed and what is merged. Layer indices are 0-based in the unpruned model.

    Raises UserError where the plan cannot be carried out: an index twice or out of range, nothing removed or kept, a
    layer merged that is kept or that was merged before.
    """

    method: str
    layers: int
    """layers of the unpruned model"""
    removed: tuple[int, ...]
    """sorted; layers that are folded into others are among them"""
    scores: tuple[float, ...] = ()
    """the method's score of every layer of the unpruned model; empty where it measures none"""
    unpruned: str = ""
    """folder or Hub id of the unpruned model, as given"""
    source: str = ""
    """fingerprint of the unpruned checkpoint (see `fingerprint.fingerprint`)"""
    details: Mapping[str, Any] = field(default_factory=dict)
    """what else the choice depended on: the prune section, the calibration data"""
    merged: tuple[tuple[int, ...], ...] = ()
    """groups of layers, merged one group after the other: the first layer of a group takes in the differences of the
    others, theta_first + sum over the others of (theta_other - theta_first), and the others go (LaCo,
    arXiv 2402.11187). A layer may itself be the result of an earlier group"""
    channels: Channels | None = None
    """the MLP channels that stay in the layers that stay; None where layers keep their width"""
    ranks: Mapping[str, int] = field(default_factory=dict)
    """module of the pruned model -> the rank that its weight was brought down to; others keep theirs"""

    def __post_init__(self) -> None:
        object.__setattr__(self, "removed", tuple(sorted(self.removed)))
        object.__setattr__(self, "scores", tuple(self.scores))
        object.__setattr__(self, "merged", tuple(tuple(group) for group in self.merged))
        faults = _faults(self) + _merge_faults(self)
        if faults:
            raise UserError("\n".join(f"prune plan: {fault}" for fault in faults))

    @property
    def kept(self) -> tuple[int, ...]:
        """The layers that stay, in order."""
        return tuple(i for i in range(self.layers) if i not in self.removed)

    @property
    def mixes(self) -> dict[int, dict[int, int]]:
        """Each kept layer as a sum of unpruned layers: kept layer -> unpruned layer -> coefficient.

        The coefficients of a layer are whole numbers other than 0 whose sum is 1; {i: 1} is the layer as it was.
        """
        mixes = {i: Counter({i: 1}) for i in range(self.layers)}
        for first, *others in self.merged:
            # theta_first + sum (theta_other - theta_first) = (1 - others) theta_first + sum theta_other
            mix = Counter({i: (1 - len(others)) * share for i, share in mixes[first].items()})
            for other in others:
                mix.update(mixes[other])
            mixes[first] = mix
        return {i: {j: share for j, share in sorted(mixes[i].items()) if share} for i in self.kept}


def _faults(plan: PrunePlan) -> list[str]:
    faults = []
    outside = [i for i in plan.removed if not 0 <= i < plan.layers]
    if outside:
        faults.append(f"layers {outside} are not in the model, which has layers 0 to {plan.layers - 1}")
    if len(set(plan.removed)) < len(plan.removed):
        faults.append(f"a layer is named twice in {list(plan.removed)}")
    if not plan.removed and plan.channels is None and not plan.ranks:
        faults.append("nothing is removed; name at least one layer")
    if len(set(plan.removed)) >= plan.layers:
        faults.append(f"all {plan.layers} layers are removed; keep at least one")
    if plan.scores and (len(plan.scores) != plan.layers or not all(map(math.isfinite, plan.scores))):
        faults.append(f"scores must be {plan.layers} finite numbers, one for each layer, got {list(plan.scores)}")
    if plan.channels is not None and len(plan.channels.kept) != plan.layers - len(set(plan.removed)):
        faults.append(f"channels are of {len(plan.channels.kept)} layers, but other layers stay")
    if wrong := sorted(name for name, rank in plan.ranks.items() if not isinstance(rank, int) or rank < 1):
        faults.append(f"ranks must be whole numbers of 1 or more, not {plan.ranks[wrong[0]]!r} ({wrong[0]})")
    return faults


def _merge_faults(plan: PrunePlan) -> list[str]:
    faults: list[str] = []
    folded: set[int] = set()
    for group in plan.merged:
        if len(group) < 2 or len(set(group)) < len(group):
            faults.append(f"merged group {list(group)} must name two or more different layers")
        outside = [i for i in group if not 0 <= i < plan.layers]
        if outside:
            faults.append(f"merged group {list(group)}: layers {outside} are not in the model")
        again = sorted(folded & set(group))
        if again:
            faults.append(f"merged group {list(group)}: layers {again} were folded into another layer before")
        folded.update(group[1:])
    staying = sorted(folded - set(plan.removed))
    if staying:
        faults.append(f"layers {staying} are folded into others but not removed")
    # a removed layer may take others in only where it is folded into a kept one later
    lost = sorted({group[0] for group in plan.merged if group} & set(plan.removed) - folded)
    if lost:
        faults.append(f"layers {lost} take in others but are removed")
    return faults


def describe_merges(merged: Sequence[Sequence[int]]) -> str:
    """The groups of `PrunePlan.merged` in words: `6, 7 into 5; 3 into 2`."""
    return "; ".join(f"{', '.join(map(str, others))} into {first}" for first, *others in merged)


def describe_ranks(ranks: Mapping[str, int]) -> str:
    """`matrices brought to rank 64: 12, 128: 24`, and what is stored of them."""
    counts = ", ".join(f"{rank}: {count}" for rank, count in sorted(Counter(ranks.values()).items()))
    return f"matrices brought to rank {counts}; stored multiplied out, so the file is as large as the unpruned one"


def describe_cut(plan: PrunePlan) -> str:
    """What is cut, in some words: `without layers [3]`, `with channels 128 of 192 in every layer (66.7%)`."""
    parts = [f"without layers {list(plan.removed)}"] if plan.removed else []
    if plan.channels is not None:
        parts.append(f"with channels {describe_channels(plan.channels.width, plan.channels.widths)}")
    if plan.ranks:
        parts.append(f"with low rank: {describe_ranks(plan.ranks)}")
    return ", ".join(parts)


def to_json(plan: PrunePlan) -> str:
    """The plan as JSON text, with the kept layers written out for readers; merges, channels, ranks only where set."""
    fields = asdict(plan)
    merged, ranks, _ = (fields.pop(name) for name in ("merged", "ranks", "channels"))
    fields["kept"] = plan.kept
    if merged:
        fields["merged"] = merged
    if plan.channels is not None:
        fields["channels"] = to_fields(plan.channels)
    if ranks:
        fields["ranks"] = ranks
    return json.dumps(fields, indent=2, allow_nan=False) + "\n"


def from_json(text: str) -> PrunePlan:
    """The plan that `to_json` wrote. UserError where the text is not one, or where kept and removed contradict."""
    try:
        fields = json.loads(text)
        kept = tuple(fields.pop("kept"))
        fields |= {name: tuple(fields[name]) for name in ("removed", "scores")}
        if "channels" in fields:
            fields["channels"] = from_fields(fields["channels"])
        plan = PrunePlan(**fields)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"not a prune plan: {type(error).__name__}: {error}") from None
    if kept != plan.kept:
        raise UserError(
            f"prune plan: it removes {list(plan.removed)} of {plan.layers} layers but says that it keeps "
            f"{list(kept)}; make the folder again with `python -m prune`"
        )
    return plan


def save(plan: PrunePlan, folder: Path) -> None:
    """Writes `prune_plan.json` into `folder`."""
    write_whole(folder / FILE_NAME, to_json(plan))


def load(folder: Path) -> PrunePlan:
    """The plan in `folder`. UserError where there is none or where it cannot be read."""
    path = folder / FILE_NAME
    try:
        return from_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        raise UserError(f"{path} does not exist or cannot be read; make the folder with `python -m prune`") from None
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
