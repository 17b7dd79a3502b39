"""The prune plan: which layers of which unpruned model are removed or merged, and why."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from prune.channels import Channels, compose_channels, describe_channels, from_fields, to_fields
from prune.repaired import Repair, repairs_of
from recipes.errors import UserError
from runtime.files import write_whole

FILE_NAME = "prune_plan.json"


@dataclass(frozen=True)
class Cut:
    """One of several consecutive cuts. Layer indices are 0-based in the unpruned model."""

    method: str
    removed: tuple[int, ...]
    source: str
    """fingerprint of the checkpoint that was cut: the unpruned model for the first cut"""
    scores: Mapping[str, float] = field(default_factory=dict)
    """the method's score of every layer present at this cut, by the layer's index as text (a key of JSON)"""
    details: Mapping[str, Any] = field(default_factory=dict)
    """what else this choice depended on, as in `PrunePlan.details`"""
    merged: tuple[tuple[int, ...], ...] = ()
    narrowed: str = ""
    """what it removed from layers that stay, in words; the plan has it in numbers"""
    repairs: tuple[Repair, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "removed", tuple(self.removed))
        object.__setattr__(self, "merged", tuple(tuple(group) for group in self.merged))
        object.__setattr__(self, "repairs", repairs_of(self.repairs))


@dataclass(frozen=True)
class PrunePlan:
    """What is removed and what is merged. Layer indices are 0-based in the unpruned model.

    Raises UserError if the plan cannot be carried out: an index twice or out of range, nothing removed or kept, a
    merged layer that is kept or was merged before.
    """

    method: str
    layers: int
    """layers of the unpruned model"""
    removed: tuple[int, ...]
    """sorted; includes layers that are folded into others"""
    scores: tuple[float, ...] = ()
    """the method's score of every layer of the unpruned model; empty if it has none"""
    unpruned: str = ""
    """folder or Hub id of the unpruned model, as given"""
    source: str = ""
    """fingerprint of the unpruned checkpoint (see `fingerprint.fingerprint`)"""
    details: Mapping[str, Any] = field(default_factory=dict)
    """what else the choice depended on: the prune section, the calibration data"""
    merged: tuple[tuple[int, ...], ...] = ()
    """groups of layers, merged in this order: the first layer of a group takes in the differences of the others,
    theta_first + sum over the others of (theta_other - theta_first), and the others are removed (LaCo,
    arXiv 2402.11187). A layer may itself be the result of an earlier group"""
    channels: Channels | None = None
    """the MLP channels that stay in the layers that stay; None if layers keep their width"""
    ranks: Mapping[str, int] = field(default_factory=dict)
    """module of the pruned model -> the rank of its weight; other modules keep theirs"""
    cuts: tuple[Cut, ...] = ()
    """the cuts in order, if there were several. `removed` and `merged` are then those of all cuts, `method` and
    `details` those of the last, and `scores` is empty, since no cut scored all layers"""
    repairs: tuple[Repair, ...] = ()
    """the maps at the gaps, front to back; after several cuts those of all, in order"""

    def __post_init__(self) -> None:
        object.__setattr__(self, "removed", tuple(sorted(self.removed)))
        object.__setattr__(self, "scores", tuple(self.scores))
        object.__setattr__(self, "merged", tuple(tuple(group) for group in self.merged))
        object.__setattr__(self, "repairs", repairs_of(self.repairs))
        object.__setattr__(self, "cuts", tuple(self.cuts))
        faults = _faults(self) + _merge_faults(self) + _cut_faults(self)
        if faults:
            raise UserError("\n".join(f"prune plan: {fault}" for fault in faults))

    @property
    def kept(self) -> tuple[int, ...]:
        """The layers that stay, in order."""
        return tuple(i for i in range(self.layers) if i not in self.removed)

    @property
    def mixes(self) -> dict[int, dict[int, int]]:
        """Each kept layer as a sum of unpruned layers: kept layer -> unpruned layer -> coefficient.

        The coefficients of a layer are nonzero whole numbers whose sum is 1; {i: 1} is the unchanged layer.
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
        faults.append(f"scores must be {plan.layers} finite numbers, one per layer, got {list(plan.scores)}")
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
    # a removed layer may take others in only if it is folded into a kept one later, or if a later cut removes it
    lost = sorted({group[0] for group in plan.merged if group} & set(plan.removed) - folded)
    if lost and not plan.cuts:
        faults.append(f"layers {lost} take in others but are removed")
    return faults


def _cut_faults(plan: PrunePlan) -> list[str]:
    of_cuts = sorted(i for cut in plan.cuts for i in cut.removed)
    if plan.cuts and of_cuts != list(plan.removed):
        return [f"its cuts remove layers {of_cuts}, but the plan removes {list(plan.removed)}"]
    return []


def compose(earlier: PrunePlan, step: PrunePlan) -> PrunePlan:
    """The plan of two cuts: `earlier` of an unpruned model, then `step` of the result, trained in between or not.

    `step` counts layers in the model that it cut; the result counts them in the unpruned one. Raises UserError if
    `step` is for another number of layers than `earlier` keeps.
    """
    if step.layers != len(earlier.kept):
        raise UserError(
            f"prune plan: a cut of a model of {step.layers} layers cannot follow one that keeps {len(earlier.kept)}"
        )
    if fault := further_fault(earlier):
        raise UserError(f"prune plan: it cannot be cut further: {fault}")
    cuts = earlier.cuts or (_as_cut(earlier, range(earlier.layers)),)
    last = _as_cut(step, earlier.kept)
    return PrunePlan(
        method=step.method,
        layers=earlier.layers,
        removed=earlier.removed + last.removed,
        unpruned=step.unpruned or earlier.unpruned,  # an export names no folder of the machine that it came from
        source=earlier.source,
        details=step.details,
        merged=earlier.merged + last.merged,
        channels=compose_channels(earlier.channels, step.channels, step.kept),
        ranks=step.ranks,
        repairs=earlier.repairs + last.repairs,
        cuts=(*cuts, last),
    )


def further_fault(plan: PrunePlan) -> str:
    """Why the result of a plan cannot be cut further with a correct combined plan; "" if it can."""
    if plan.ranks:
        return (
            "its matrices have a lower rank, which a further cut would not keep; remove layers first, then lower ranks"
        )
    if plan.channels is not None and plan.channels.is_uneven:
        return "its layers differ in width and are padded with zeros; remove layers first, or use one width for all"
    return ""


def _as_cut(plan: PrunePlan, places: Sequence[int]) -> Cut:
    """A plan as one cut of several; `places` are its layers in the unpruned model."""
    return Cut(
        method=plan.method,
        removed=tuple(places[i] for i in plan.removed),
        source=plan.source,
        scores={str(places[i]): score for i, score in enumerate(plan.scores)},
        details=plan.details,
        merged=tuple(tuple(places[i] for i in group) for group in plan.merged),
        narrowed=_describe_narrowing(plan),
        repairs=tuple(each.at(places) for each in plan.repairs),
    )


def describe_merges(merged: Sequence[Sequence[int]]) -> str:
    """The groups of `PrunePlan.merged` in words: `6, 7 into 5; 3 into 2`."""
    return "; ".join(f"{', '.join(map(str, others))} into {first}" for first, *others in merged)


def describe_ranks(ranks: Mapping[str, int]) -> str:
    """`matrices brought to rank 64: 12, 128: 24`, and how they are stored."""
    counts = ", ".join(f"{rank}: {count}" for rank, count in sorted(Counter(ranks.values()).items()))
    return f"matrices brought to rank {counts}; stored multiplied out, so the file is as large as the unpruned one"


def describe_cut(plan: PrunePlan) -> str:
    """The cut in a few words: `without layers [3]`, `with channels 128 of 192 in every layer (66.7%)`."""
    removed = f"without layers {list(plan.removed)}" if plan.removed else ""
    return ", ".join(part for part in (removed, _describe_narrowing(plan)) if part)


def _describe_narrowing(plan: PrunePlan) -> str:
    channels = plan.channels
    parts = [f"with channels {describe_channels(channels.width, channels.widths)}"] if channels is not None else []
    return ", ".join([*parts, *([f"with low rank: {describe_ranks(plan.ranks)}"] if plan.ranks else [])])


def to_json(plan: PrunePlan) -> str:
    """The plan as JSON text, with the kept layers listed for readers.

    Merges, channels, ranks and repairs are present only if there are any; `cuts` only if there were several.
    """
    fields = asdict(plan)
    more = {name: fields.pop(name) for name in ("merged", "channels", "ranks", "cuts", "repairs")}
    more["channels"] = to_fields(plan.channels) if plan.channels is not None else None
    for cut in more["cuts"]:
        if not cut["repairs"]:
            del cut["repairs"]
    fields["kept"] = plan.kept
    fields |= {name: value for name, value in more.items() if value}
    return json.dumps(fields, indent=2, allow_nan=False) + "\n"


def from_json(text: str) -> PrunePlan:
    """Reads what `to_json` wrote. Raises UserError if the text is not a plan, or if kept and removed contradict."""
    try:
        fields = json.loads(text)
        kept = tuple(fields.pop("kept"))
        fields |= {name: tuple(fields[name]) for name in ("removed", "scores")}
        if "channels" in fields:
            fields["channels"] = from_fields(fields["channels"])
        fields["cuts"] = tuple(Cut(**cut) for cut in fields.get("cuts", ()))
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
    """The plan in `folder`. Raises UserError if there is none or it cannot be read."""
    path = folder / FILE_NAME
    try:
        return from_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        raise UserError(f"{path} does not exist or cannot be read; make the folder with `python -m prune`") from None
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
