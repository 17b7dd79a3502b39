"""The hook of the guard, which puts its state into every checkpoint."""

from __future__ import annotations

from typing import Any

from train.guard import Guard
from train.hooks.hook import Hook, Order


class GuardHook(Hook):
    """Keeps the state of `guard`, which the trainer calls (`train.trainer`)."""

    order = Order.GUARD
    name = "guard"

    def __init__(self, guard: Guard) -> None:
        self.guard = guard

    def state(self) -> dict[str, Any]:
        return self.guard.state()

    def restore(self, state: dict[str, Any]) -> None:
        self.guard.restore(state)
