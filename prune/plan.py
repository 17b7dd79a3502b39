"""The prune plan: which layers of which unpruned model are removed and why. `surgery.apply_plan` acts on it."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from recipes.errors import UserError

FILE_NAME = "prune_plan.json"


@dataclass(frozen=True)
class PrunePlan:
    """What is removed. Layer indices are 0-based in the unpruned model.

    Raises UserError where the plan cannot be carried out: an index twice or out of range, nothing removed or kept.
    """

    method: str
    layers: int
    """layers of the unpruned model"""
    removed: tuple[int, ...]
    """sorted"""
    scores: tuple[float, ...] = ()
    """block influence of every layer of the unpruned model; empty where the method measures none"""
    unpruned: str = ""
    """folder or Hub id of the unpruned model, as given"""
    source: str = ""
    """fingerprint of the unpruned checkpoint (see `fingerprint.fingerprint`)"""
    details: Mapping[str, Any] = field(default_factory=dict)
    """what else the choice depended on: the prune section, the calibration data"""

    def __post_init__(self) -> None:
        object.__setattr__(self, "removed", tuple(sorted(self.removed)))
        object.__setattr__(self, "scores", tuple(self.scores))
        faults = _faults(self)
        if faults:
            raise UserError("\n".join(f"prune plan: {fault}" for fault in faults))

    @property
    def kept(self) -> tuple[int, ...]:
        """The layers that stay, in order."""
        return tuple(i for i in range(self.layers) if i not in self.removed)


def _faults(plan: PrunePlan) -> list[str]:
    faults = []
    outside = [i for i in plan.removed if not 0 <= i < plan.layers]
    if outside:
        faults.append(f"layers {outside} are not in the model, which has layers 0 to {plan.layers - 1}")
    if len(set(plan.removed)) < len(plan.removed):
        faults.append(f"a layer is named twice in {list(plan.removed)}")
    if not plan.removed:
        faults.append("nothing is removed; name at least one layer")
    if len(set(plan.removed)) >= plan.layers:
        faults.append(f"all {plan.layers} layers are removed; keep at least one")
    if plan.scores and (len(plan.scores) != plan.layers or not all(map(math.isfinite, plan.scores))):
        faults.append(f"scores must be {plan.layers} finite numbers, one a layer, got {list(plan.scores)}")
    return faults


def to_json(plan: PrunePlan) -> str:
    """The plan as JSON text, with the kept layers written out for readers."""
    fields = asdict(plan)
    return json.dumps({**fields, "kept": plan.kept}, indent=2, allow_nan=False) + "\n"


def from_json(text: str) -> PrunePlan:
    """The plan that `to_json` wrote. UserError where the text is not one, or where kept and removed contradict."""
    try:
        fields = json.loads(text)
        kept = tuple(fields.pop("kept"))
        plan = PrunePlan(**{**fields, "removed": tuple(fields["removed"]), "scores": tuple(fields["scores"])})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"not a prune plan: {type(error).__name__}: {error}") from None
    if kept != plan.kept:
        raise UserError(
            f"prune plan: it removes {list(plan.removed)} of {plan.layers} layers but says that it keeps "
            f"{list(kept)}; make the folder again with `python -m prune`"
        )
    return plan


def save(plan: PrunePlan, folder: Path) -> None:
    """Writes `prune_plan.json` into `folder`, under a temporary name first."""
    temporary = folder / f".{FILE_NAME}.{os.getpid()}"
    temporary.write_text(to_json(plan))
    temporary.replace(folder / FILE_NAME)


def load(folder: Path) -> PrunePlan:
    """The plan in `folder`. UserError where there is none or where it cannot be read."""
    path = folder / FILE_NAME
    try:
        return from_json(path.read_text())
    except OSError:
        raise UserError(f"{path} does not exist or cannot be read; make the folder with `python -m prune`") from None
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
