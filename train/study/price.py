"""The cost of a study, from `train.plan`: one estimate per arm, since its seeds cost the same."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recipes.errors import UserError
from recipes.loader import to_yaml
from runtime.files import write_whole
from runtime.run_folder import RunFolder
from train.study.grid import Cell

if TYPE_CHECKING:
    from train.plan.estimate import Estimate

NAME = "prices.json"


@dataclass(frozen=True)
class Price:
    """The estimate of `train.plan` for one run of an arm; note: why there is no estimate, or what does not fit.

    tokens and flops: of training, including prompts; sweep_flops: upper bound for all its sweeps; hours: of training,
    None if no speed is known.
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
    """An estimate for each arm, or the reason why there is none; the estimated recipes are written to `folder`."""
    from train.plan.estimate import estimate_run

    found: list[Price] = []
    given = dict(numbers)
    for cell in first_cells(cells):
        file, runs = folder / f"{cell.arm.name}.yaml", sum(each.arm == cell.arm for each in cells)
        write_whole(file, to_yaml(cell.recipe))
        try:
            estimate = estimate_run([f"recipe={file}"], given, card)
        except UserError as fault:
            found.append(Price(cell.arm.name, runs, note=str(fault).splitlines()[0]))
            continue
        # the base memory of a process is measured in a separate process: once is enough
        given.setdefault("base_gb", estimate.machine.base_bytes / (1 << 30))
        found.append(_price(cell, runs, estimate))
    return found


def first_cells(cells: Sequence[Cell]) -> list[Cell]:
    """The first cell of each arm."""
    by_arm: dict[str, Cell] = {}
    for cell in cells:
        by_arm.setdefault(cell.arm.name, cell)
    return list(by_arm.values())


def _price(cell: Cell, runs: int, estimate: Estimate) -> Price:
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
    """Prices of the arms of finished cells by name, for their actual traces; estimated once, and stored in `out`."""
    file = out / NAME
    kept = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []
    known = {row["arm"]: Price(**row) for row in kept}
    missing = [cell for cell in first_cells(cells) if cell.arm.name not in known]
    for cell in missing:
        facts = RunFolder(cell.folder).facts()
        data, ranks = facts["data"], facts.get("ranks", 1)  # a global batch has the rows of all ranks
        # base_gb affects only memory, which the page does not show, and takes seconds to measure
        numbers = {"traces": data["traces_kept"], "tokens": data["tokens"], "base_gb": 1.0, "ranks": ranks}
        known |= {price.arm: price for price in prices([cell], numbers, "", out / "planned")}
    if missing:
        write_whole(file, json.dumps([asdict(price) for price in known.values()], indent=2) + "\n")
    return known


def price_lines(found: Sequence[Price]) -> list[list[str]]:
    """A table: a head, one row per arm, and the sum of those that could be estimated."""
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
