"""What a study costs, by `train.plan`: one estimate for each arm, since its seeds cost the same."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from recipes.errors import UserError
from recipes.loader import to_yaml
from runtime.files import write_whole
from train.study.grid import Cell

NAME = "prices.json"


@dataclass(frozen=True)
class Price:
    """One run of an arm by `train.plan`; note: why there is no estimate, or what does not fit.

    tokens and flops: of training, prompts too; sweep_flops: of all its sweeps at most; hours: of training, None where
    no speed is known.
    """

    arm: str
    runs: int
    tokens: float | None = None
    flops: float | None = None
    sweep_flops: float | None = None
    peak_bytes: int | None = None
    hours: float | None = None
    note: str = ""


def prices(cells: Sequence[Cell], numbers: Mapping[str, float], card: str, folder: Path) -> list[Price]:
    """An estimate for each arm; `folder` gets the recipes that are estimated. What cannot be estimated says why."""
    arms = list({cell.arm.name: cell for cell in reversed(cells)}.values())[::-1]
    return [_price(cell, sum(each.arm == cell.arm for each in cells), numbers, card, folder) for cell in arms]


def _price(cell: Cell, runs: int, numbers: Mapping[str, float], card: str, folder: Path) -> Price:
    from train.plan.estimate import estimate_run

    file = folder / f"{cell.arm.name}.yaml"
    write_whole(file, to_yaml(cell.recipe))
    try:
        estimate = estimate_run([f"recipe={file}"], numbers, card)
    except UserError as fault:
        return Price(cell.arm.name, runs, note=str(fault).splitlines()[0])
    facts = estimate.facts()
    return Price(
        arm=cell.arm.name,
        runs=runs,
        tokens=float(facts["tokens"]),
        flops=estimate.flops + estimate.thinking_flops,
        sweep_flops=estimate.sweep_flops * estimate.sweep.sweeps,
        peak_bytes=facts["peak_bytes"],
        hours=estimate.hours.training,
        note="does not fit: " + "; ".join(estimate.misfits) if estimate.misfits else "",
    )


def kept_prices(cells: Sequence[Cell], out: Path) -> dict[str, Price]:
    """Those of a study's arms by name, estimated once on this machine and kept in `out`."""
    file = out / NAME
    kept = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []
    known = {row["arm"]: Price(**row) for row in kept}
    missing = [cell for cell in cells if cell.arm.name not in known]
    if missing:
        known |= {price.arm: price for price in prices(missing, {}, "", out / "planned")}
        write_whole(file, json.dumps([asdict(price) for price in known.values()], indent=2) + "\n")
    return known


def price_lines(found: Sequence[Price]) -> list[list[str]]:
    """A table: a head, a line for each arm, and the sum of those that could be estimated."""
    head = ["arm", "runs", "tokens", "training FLOPs", "sweep FLOPs", "peak GiB", "hours", "note"]
    lines = [_line(price) for price in found]
    known = [price for price in found if price.flops is not None]
    total = Price(
        arm="in all",
        runs=sum(price.runs for price in found),
        tokens=sum(price.runs * (price.tokens or 0) for price in known),
        flops=sum(price.runs * (price.flops or 0) for price in known),
        sweep_flops=sum(price.runs * (price.sweep_flops or 0) for price in known),
        peak_bytes=max((price.peak_bytes or 0 for price in known), default=None),
        hours=sum(price.runs * (price.hours or 0) for price in known)
        if all(p.hours is not None for p in found)
        else None,
        note="" if len(known) == len(found) else f"without {len(found) - len(known)} arms that have no estimate",
    )
    return [head, *lines, _line(total)]


def _line(price: Price) -> list[str]:
    def number(value: float | None, form: str) -> str:
        return "-" if value is None else format(value, form)

    peak = None if price.peak_bytes is None else price.peak_bytes / (1 << 30)
    return [
        price.arm,
        str(price.runs),
        number(price.tokens, ",.0f"),
        number(price.flops, ".3g"),
        number(price.sweep_flops, ".3g"),
        number(peak, ".2f"),
        number(price.hours, ".2f"),
        price.note,
    ]
