"""Measured cuts with made-up numbers."""

from __future__ import annotations

from typing import Any

from prune.plan import PrunePlan
from train.cuts.made import Measured


def rows(facts: float, chain: tuple[float, float]) -> tuple[dict[str, Any], ...]:
    """Two suites: `facts` at budget 8, `chain` at 4 and 8."""

    def row(suite: str, budget: int | None, accuracy: float) -> dict[str, Any]:
        more = {"accuracy": accuracy, "low": accuracy - 0.1, "high": min(1.0, accuracy + 0.1)}
        gain = {"gain_per_doubling": chain[1] - chain[0], "gain_low": 0.0, "gain_high": 0.2}
        return {"step": 0, "model": "run", "suite": suite, "budget": budget, **(gain if budget is None else more)}

    found = [row("facts", 4, 0.5), row("facts", 8, facts), row("facts", None, 0)]
    return (*found, row("chain", 4, chain[0]), row("chain", 8, chain[1]), row("chain", None, 0))


CUTS = [
    Measured("unpruned", 0, None, rows(1.0, (0.5, 0.9))),
    Measured("tail", 1, PrunePlan(method="tail", layers=6, removed=(5,)), rows(0.9, (0.5, 0.6))),
    Measured(
        *("laco", 2, PrunePlan(method="laco", layers=6, removed=(3, 4), merged=((2, 3, 4),)), rows(0.8, (0.3, 0.3))),
        threshold=0.7,
    ),
]
