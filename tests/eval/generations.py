"""Small generations of traces by the shipped reasoner: the command's arguments, and the same as an object."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from eval.generate import recipe_keys
from eval.trace_writer import Generation, make_generation
from recipes.loader import load_recipe

CHAINS = "{source: nano, name: c, family: chain, size: 6, part: training}"
SMALL = ("thinking_tokens=128", "answer_tokens=8", "seed=0")


def command(out: Path, *changes: str) -> list[str]:
    """The command's arguments for six chains, three samples each."""
    values = dict(each.split("=", 1) for each in (f"problems={CHAINS}", "samples=3", *SMALL, f"out={out}", *changes))
    return ["recipe=lora_recovery.yaml", *(f"{key}={value}" for key, value in values.items())]


def generation(*changes: str) -> Generation:
    values = dict(each.split("=", 1) for each in (f"problems={CHAINS}", "samples=3", *SMALL, *changes))
    return make_generation(
        load_recipe(["recipe=lora_recovery.yaml", "data.traces.source=generate", *recipe_keys(values)]).recipe
    )


def rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]
